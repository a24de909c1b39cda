//! The program as an operator meets it: commands, settings, TLS, start and stop, and what it prints.

mod catalog;
mod command_line;
mod doctor;
mod exposure;
mod lifecycle;
mod secrets_in_output;
mod tls;
