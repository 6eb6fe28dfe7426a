//! The macro that makes a crate a component.

/// Exports a [`Processor`](crate::Processor) as this crate's component; once a crate.
///
/// Name and version are the package's own; `export!(Type as "name")` gives another name, for packages with several
/// components. A name has letters, digits, `-` and `_`, at most 64 of them.
#[macro_export]
macro_rules! export {
    ($processor:ty) => {
        $crate::export!($processor as ::std::env!("CARGO_PKG_NAME"));
    };
    ($processor:ty as $name:expr) => {
        $crate::__export_component!($processor, $name, ::std::env!("CARGO_PKG_VERSION"));
    };
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($processor:ty, $name:expr, $version:expr) => {
        const _: () = {
            struct Component;

            ::std::thread_local! {
                // One thread, one instance: the host makes a Store for each.
                static PROCESSOR: ::std::cell::RefCell<$processor> = ::std::default::Default::default();
            }

            impl $crate::wasm::Component for Component {
                type Processor = $processor;
                const NAME: &'static str = $name;
                const VERSION: &'static str = $version;

                fn with<R>(call: impl ::std::ops::FnOnce(&mut $processor) -> R) -> R {
                    PROCESSOR.with_borrow_mut(call)
                }
            }

    $crate::wasm::bindings::export_component!(Component with_types_in $crate::wasm::bindings);
        };
    };
}

#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_component {
    ($processor:ty, $name:expr, $version:expr) => {
        // Natively there is no component; what would keep it from being one is still an error.
        const _: () = {
            const fn is_processor<P: $crate::Processor>() {}
            is_processor::<$processor>();
            ::std::assert!($crate::testing::is_component_name($name), "not a name for a component");
        };
    };
}
