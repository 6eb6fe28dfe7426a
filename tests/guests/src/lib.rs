//! Components that misbehave, one an example beside this directory, for the host's tests. Their frames count from 1.
