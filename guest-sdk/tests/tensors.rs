//! Operations on tensors, as tests of processors have them.

use rillbox_sdk::tensor::{ElementType, Tensor};

mod operations;

/// Catches a name that leads to another operation.
#[test]
fn every_operation_is_what_its_name_says() {
    assert_eq!(operations::wrong(), Vec::<String>::new());
}

/// Catches a number on the left that becomes the nearest of what the elements can be.
#[test]
fn a_number_that_elements_cannot_be_is_refused_on_either_side() {
    let (whole, bytes) = (Tensor::of_whole(&[2], &[7, -7]), Tensor::full(ElementType::U8, &[2], 7.0));
    for refused in [&whole - 0.5, 0.5 - &whole, &bytes - 256.0, 256.0 - &bytes, 1.0 / Tensor::of_whole(&[1], &[0])] {
        assert!(refused.shape().is_err());
    }
    let none = 1.0 - Tensor::of(&[3], &[1.0]);
    assert_eq!(none.shape(), (none * 2.0).shape(), "a refusal stays what it is");
}
