mod backups;
mod commits;
mod frames;
mod keeping;
mod leases;
mod recovery;
mod support;
