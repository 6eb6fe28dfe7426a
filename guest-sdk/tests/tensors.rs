//! Operations on tensors, as tests of processors have them.

mod operations;

/// Catches a name that leads to another operation.
#[test]
fn every_operation_is_what_its_name_says() {
    assert_eq!(operations::wrong(), Vec::<String>::new());
}
