Gem::Specification.new do |gem|
  gem.name = "greeting"
  gem.version = "1.0.0"
  gem.summary = "A small gem of its own, to be vendored"
  gem.authors = ["The Trivet founders"]
  gem.license = "Apache-2.0"
  gem.homepage = "https://example.org"
  gem.files = ["lib/greeting.rb"]
end
