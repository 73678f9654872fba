"""The proof that leaves with a release: a Five Safes RO-Crate in a BagIt bag (ro-crate.md)."""
