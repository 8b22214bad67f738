//! Layer 0: what everything else stands on. Values and small tools without opinions about AS2.
//!
//! Core tier (pure): [`clock`], [`id`], [`limits`], [`network`], [`random`], [`secret`], [`text`].
//! Server tier: [`allocator`], [`durable`] (files that survive a power cut), [`drain`] (shutdown and tasks), [`fault`]
//! (failpoints), [`lanes`] (turns at the processors), [`sealed`] (documents that tell when they were damaged), [`space`] (room on the disk).

#[cfg(feature = "server")]
pub mod allocator;
pub mod clock;
#[cfg(feature = "server")]
pub mod drain;
#[cfg(feature = "config")]
pub mod durable;
#[cfg(feature = "config")]
pub mod fault;
pub mod id;
#[cfg(feature = "server")]
pub mod lanes;
pub mod limits;
pub mod network;
pub mod random;
#[cfg(feature = "server")]
pub mod sealed;
pub mod secret;
#[cfg(feature = "server")]
pub mod space;
pub mod text;
