//! The log as its users see it: through the public interface, on a real disk.

mod basics; // Append, compare and set, deduplication, reading, watching, cursors.
mod crash; // Processes killed while they append.
mod disk; // Disks that are full, files that cannot grow.
mod harness; // A log in a folder of its own, with a clock in the test's hands.
mod keeping; // Segments, retention, erasing, verifying, damage.
mod model; // Random histories against a naive model.
