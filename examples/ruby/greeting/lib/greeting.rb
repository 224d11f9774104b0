# A greeting in the name of somebody.
module Greeting
  def self.from(name)
    "Hello from #{name}."
  end
end
