//! Layer of `cli`.

pub mod cert;
pub mod doctor;
pub mod exit_code;
pub mod init;
pub mod partner;
pub mod voice;
