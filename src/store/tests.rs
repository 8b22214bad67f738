mod commits;
mod frames;
mod leases;
mod recovery;
mod support;
