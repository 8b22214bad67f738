mod backups;
mod commits;
mod declared;
mod frames;
mod keeping;
mod leases;
mod recovery;
mod support;
