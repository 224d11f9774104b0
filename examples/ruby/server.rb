# The web process: Ruby's own sockets, and a greeting from a vendored gem.
require "socket"
require "greeting"

server = TCPServer.new("127.0.0.1", Integer(ENV.fetch("PORT")))
trap("TERM") { exit }
body = "#{Greeting.from("Ruby")}\n"

loop do
  Thread.start(server.accept) do |client|
    nil until client.gets.to_s.strip.empty?
    client.write "HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}"
  ensure
    client.close
  end
end
