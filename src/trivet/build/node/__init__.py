"""What builders know of Node's packages: manifests, lockfiles, settings, and the steps that install from them. Pure."""
