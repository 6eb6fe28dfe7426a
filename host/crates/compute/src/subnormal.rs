//! Numbers smaller than a float's exponent can say. Processors take up to two hundred times as long over them as over others, so that
//! whoever has a bound of time takes them as 0, as GPUs do.

/// Does `work` with every subnormal operand and result of this thread's vector unit taken as 0, where that is the difference: on
/// x86-64. What was set before is set again afterwards, however `work` ends.
pub fn without_subnormals<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    let _flushing = x86_64::Flushing::begin();
    // Opaque, so that nothing of it is moved out of here.
    std::hint::black_box(work)()
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;

    /// Results are flushed to zero, and operands taken as zero: bits 15 and 6 of MXCSR (Intel's Software Developer's Manual, volume
    /// 1, 10.2.3).
    const FLUSH: u32 = 1 << 15 | 1 << 6;

    /// What MXCSR was before, until this is dropped.
    pub struct Flushing(u32);

    impl Flushing {
        pub fn begin() -> Self {
            let before = control();
            set_control(before | FLUSH);
            Self(before)
        }
    }

    impl Drop for Flushing {
        fn drop(&mut self) {
            set_control(self.0);
        }
    }

    #[allow(unsafe_code)]
    fn control() -> u32 {
        let mut control = 0_u32;
        // SAFETY: four bytes are written to `control`, and nothing else is touched.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags)) };
        control
    }

    #[allow(unsafe_code)]
    fn set_control(control: u32) {
        // SAFETY: four bytes are read from `control`, which MXCSR held before, but for two bits that every x86-64 processor has. The
        // compiler takes it that they are not set: what it works out beforehand has its subnormal numbers, and what is worked out
        // between the two calls has zeros in their places. Either may stand where the contract has them (`wit/tensor.wit`); no
        // address and no length is made of floats that differ by it.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags, readonly)) };
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use std::hint::black_box;

    use super::*;
    use crate::{Binary, ElementType, Tensor, Unlimited};

    const TINY: f64 = 1e-40;

    fn tiny() -> Tensor {
        Tensor::full(ElementType::F32, &[64, 64], TINY, &mut Unlimited).unwrap()
    }

    fn largest(tensor: &Tensor) -> f32 {
        tensor.bytes().chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).fold(0.0, f32::max)
    }

    /// Catches work of subnormal numbers that takes two hundred times what it was estimated at, and a thread that keeps flushing.
    #[test]
    fn subnormal_numbers_are_zero_within_and_themselves_again_afterwards() {
        let (tiny, half) = (tiny(), Tensor::full(ElementType::F32, &[64, 64], 0.5, &mut Unlimited).unwrap());
        let product = without_subnormals(|| tiny.matmul(&half, &mut Unlimited)).unwrap();
        let sum = without_subnormals(|| tiny.binary(Binary::Add, &tiny, &mut Unlimited)).unwrap();
        assert_eq!((largest(&product), largest(&sum)), (0.0, 0.0));
        assert!(largest(&tiny.matmul(&half, &mut Unlimited).unwrap()) > 0.0);
        let panicked = std::panic::catch_unwind(|| without_subnormals(|| panic!("on purpose")));
        assert!(panicked.is_err() && black_box(TINY as f32) * black_box(0.5) > 0.0);
    }
}
