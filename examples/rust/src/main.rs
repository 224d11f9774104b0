//! The web process: the standard library's sockets, and a greeting from a vendored crate.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn answer(mut client: TcpStream) -> std::io::Result<()> {
    for line in BufReader::new(&client).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let body = format!("{}\n", greeting::from("Rust"));
    write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").expect("PORT is set");
    for client in TcpListener::bind(format!("127.0.0.1:{port}"))?.incoming().flatten() {
        std::thread::spawn(|| answer(client));
    }
    Ok(())
}
