//! A greeting in the name of somebody.

pub fn from(name: &str) -> String {
    format!("Hello from {name}.")
}
