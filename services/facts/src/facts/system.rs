//! What this machine is: its names, its system, its numbers that never change.

use serde_json::Value;

use crate::read::Text;
use crate::sources::names::{self, kernel_setting};
use crate::sources::{load, release};
use crate::{Context, Unavailable};

/// Seconds since the start, to the hundredth.
pub(crate) fn uptime(context: &Context) -> Result<Value, Unavailable> {
    load::uptime(&context.roots, &context.bounds).map(Value::from)
}

/// The short name; the full one is a fact of its own.
pub(crate) fn host(context: &Context) -> Result<Value, Unavailable> {
    let host = names::host(context)?;
    Ok(host.split('.').next().unwrap_or(&host).into())
}

/// Distribution, version and code name, joined by dashes.
pub(crate) fn os(context: &Context) -> Result<Value, Unavailable> {
    Ok(release::release(context)?.joined().into())
}

/// As Python's `platform.platform()` wrote it when it still named the distribution.
pub(crate) fn version(context: &Context) -> Result<Value, Unavailable> {
    let system = kernel_setting(context, "kernel/ostype")?;
    let kernel = kernel_setting(context, "kernel/osrelease")?;
    let machine = machine(context)?;
    let distribution = release::release(context)?.short();
    Ok(format!("{system}-{kernel}-{machine}-with-{distribution}").into())
}

/// The kernel's release.
pub(crate) fn kernel(context: &Context) -> Result<Value, Unavailable> {
    kernel_setting(context, "kernel/osrelease").map(Value::from)
}

/// The processor's architecture.
pub(crate) fn arch(context: &Context) -> Result<Value, Unavailable> {
    machine(context).map(Value::from)
}

fn machine(context: &Context) -> Result<String, Unavailable> {
    match kernel_setting(context, "kernel/arch") {
        // Linux before 6.1 has no such file, but tells whoever runs on it.
        Err(Unavailable::Missing { .. }) if context.roots.are_here() => {
            Ok(rustix::system::uname().machine().to_string_lossy().into_owned())
        }
        told => told,
    }
}

/// The number that this installation got.
pub(crate) fn machine_id(context: &Context) -> Result<Value, Unavailable> {
    let limit = context.bounds.file_bytes;
    let path = context.roots.etc.join("machine-id");
    let told = match Text::read_if_there(&path, limit)? {
        Some(text) => Some(text),
        None => Text::read_if_there(context.roots.var.join("lib/dbus/machine-id"), limit)?,
    };
    match told.map(|text| text.trimmed().to_owned()).filter(|id| !id.is_empty()) {
        Some(id) => Ok(id.into()),
        // Images are made with an empty file, and the first start fills it.
        None => Err(Unavailable::unsupported("this installation has no number yet")),
    }
}

/// The number that this start got.
pub(crate) fn boot_id(context: &Context) -> Result<Value, Unavailable> {
    kernel_setting(context, "kernel/random/boot_id").map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    const FILES: &[(&str, &str)] = &[
        ("proc/sys/kernel/hostname", "h1.example.org\n"),
        ("proc/sys/kernel/ostype", "Linux\n"),
        ("proc/sys/kernel/osrelease", "6.1.0\n"),
        ("proc/sys/kernel/arch", "x86_64\n"),
        ("proc/uptime", "123.45 200.00\n"),
        ("etc/os-release", "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n"),
        ("etc/machine-id", ""),
    ];

    #[test]
    fn names_have_the_forms_that_were_always_shown() {
        let context = Machine::with(FILES);
        let context = context.context();
        assert_eq!(host(&context).unwrap(), "h1");
        assert_eq!(os(&context).unwrap(), "debian-12-bookworm");
        assert_eq!(version(&context).unwrap(), "Linux-6.1.0-x86_64-with-debian-12");
        assert_eq!(uptime(&context).unwrap(), 123.45);
        assert_eq!(machine_id(&context).unwrap_err().code(), "unsupported");
        assert_eq!(boot_id(&context).unwrap_err().code(), "missing");
    }
}
