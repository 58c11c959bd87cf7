//! Arguments of filters and methods, by place or by name, as Python takes them.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Error, ErrorKind, Value as Native};

use super::convert::native_text;

/// What a filter was given besides the value.
pub(super) type Given = Rest<ValueOrKwargs>;

/// Sorts `given` by the parameter `names`, in order.
pub(super) fn named<const N: usize>(
    given: Vec<Native>,
    names: [&str; N],
) -> Result<[Option<Native>; N], Error> {
    let mut arguments = [const { None }; N];
    let mut place = 0;
    for value in given {
        if value.is_kwargs() {
            let kwargs = Kwargs::try_from(value)?;
            for (slot, name) in arguments.iter_mut().zip(names) {
                if kwargs.has(name) {
                    *slot = Some(kwargs.get::<Native>(name)?);
                }
            }
            kwargs.assert_all_used()?;
            continue;
        }
        let Some(slot) = arguments.get_mut(place) else {
            return Err(Error::from(ErrorKind::TooManyArguments));
        };
        *slot = Some(value);
        place += 1;
    }
    Ok(arguments)
}

/// An argument that must be there.
pub(super) fn required(argument: Option<Native>, name: &str) -> Result<Native, Error> {
    argument.ok_or_else(|| {
        Error::new(ErrorKind::MissingArgument, format!("argument {name:?} is missing"))
    })
}

/// A text that must be there; what is no text is refused, as Python's functions refuse it.
pub(super) fn required_text(argument: Option<Native>, name: &str) -> Result<String, Error> {
    let argument = required(argument, name)?;
    match argument.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(invalid(format!("argument {name:?} must be text, not {}", argument.kind()))),
    }
}

/// The text of a value: itself, or what Python's `str()` makes of it.
pub(super) fn text_of(value: &Native) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    Ok(native_text(value))
}

/// An operation that Python would refuse.
pub(super) fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}
