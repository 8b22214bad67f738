mod backups;
mod commits;
mod declared;
mod frames;
mod grouping;
mod keeping;
mod leases;
mod recovery;
pub(super) mod support;
