//! What a child inherits of this process's environment: a short list, and everything else stays
//! here. The service may have been started with passwords in variables.

use std::ffi::OsString;

/// What any program needs: who it is, how it speaks, where programs are.
pub const USUAL: [&str; 7] = ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TZ", "USER"];
/// How programs that speak HTTP reach the world, in the spellings that Python's libraries heed.
pub const NETWORK: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];
/// Where programs are when nothing was said.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables called `names`, as far as they are set, and always a `PATH`.
#[must_use]
pub fn inherited(names: impl IntoIterator<Item = &'static str>) -> Vec<(OsString, OsString)> {
    let names = names.into_iter().filter(|name| *name != "PATH");
    let set = names.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    std::iter::once(("PATH".into(), path())).chain(set).collect()
}

/// `PATH` of this process, or where programs are when nothing was said.
#[must_use]
pub fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into())
}
