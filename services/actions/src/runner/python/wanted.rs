//! What a run is told: parameters, configuration, environment, search path.

use std::ffi::OsString;
use std::path::PathBuf;

use hearken_kit::chain;
use hearken_kit::process::environment;
use hearken_packs::config;
use hearken_packs::python::data_folder;
use serde_json::{Map, Value, json};

use super::Means;
use crate::runner::Job;

/// Variables by whose beginnings an interpreter or its libraries are set up when they start. A
/// process that is forked afterwards would not heed them.
const HEEDED_AT_START: [&str; 7] =
    ["PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "OPENSSL_", "GLIBC_"];

/// Refuses what cannot be done.
pub(super) fn check(parameters: &Map<String, Value>) -> Result<(), String> {
    let version = parameters.get("content_version").and_then(Value::as_str);
    if version.is_some_and(|version| !version.is_empty()) {
        return Err("content_version is not supported: what runs is what was in force at the \
                    request"
            .to_owned());
    }
    if given(parameters).any(|(name, _)| name.eq_ignore_ascii_case("PYTHONPATH")) {
        return Err(
            "the parameter \"env\" may not hold PYTHONPATH: put modules into actions/lib, \
                    or name them in requirements.txt"
                .to_owned(),
        );
    }
    let odd = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    match given(parameters).find(|(name, value)| odd(name) || text(value).contains('\0')) {
        Some((name, _)) => Err(format!(
            "the parameter \"env\" has a variable called {name:?}: a \
             name is not empty and holds no =, and no value holds a NUL byte"
        )),
        None => Ok(()),
    }
}

/// Whether a prepared interpreter does for a run with these parameters.
pub(super) fn can_be_forked(parameters: &Map<String, Value>) -> bool {
    let heeded = |name: &str| HEEDED_AT_START.iter().any(|start| name.starts_with(start));
    !given(parameters).any(|(name, _)| heeded(name))
}

/// What every Python process of ours gets.
pub(super) fn inherited() -> Vec<(OsString, OsString)> {
    environment::inherited(environment::USUAL.into_iter().chain(environment::NETWORK))
}

/// The whole environment of a run; of a name that is there twice the last counts.
pub(super) fn environment(
    job: &Job<'_>,
    parameters: &Map<String, Value>,
    means: &Means,
) -> Vec<(OsString, OsString)> {
    let mut environment = inherited();
    if means.is_virtual
        && let Some(bin) = means.program.parent()
    {
        let path = std::env::split_paths(&environment::path()).collect::<Vec<_>>();
        let path = std::env::join_paths([bin.to_owned()].into_iter().chain(path));
        environment.extend(path.map(|path| ("PATH".into(), path)));
    }
    environment.extend(given(parameters).map(|(name, value)| (name.into(), text(value).into())));
    // Programs that the action starts find the same modules.
    let mut modules = search_path(job);
    modules.push(means.layer.modules());
    let modules = std::env::join_paths(modules);
    environment.extend(modules.map(|modules| ("PYTHONPATH".into(), modules)));
    // Last, so that nobody else says them.
    let url = api_url(&job.config.api_url);
    let ticket = job.ticket();
    let own = [
        ("ST2_ACTION_PACK_NAME", job.action.pack.as_str()),
        ("ST2_ACTION_EXECUTION_ID", job.request.execution.as_str()),
        ("ST2_ACTION_API_URL", url.as_str()),
        ("ST2_API_URL", url.as_str()),
        ("ST2_ACTION_AUTH_TOKEN", ticket.as_str()),
        ("ST2_AUTH_TOKEN", ticket.as_str()),
    ];
    environment.extend(own.map(|(name, value)| (name.into(), value.into())));
    if parameters.get("debug").and_then(Value::as_bool) == Some(true) {
        environment.push(("ST2_ACTION_DEBUG".into(), "True".into()));
    }
    environment
}

/// Where the API answers, with its version, as StackStorm gives it.
fn api_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.is_empty() || url.ends_with("/v1") { url.to_owned() } else { format!("{url}/v1") }
}

/// The pack's own libraries.
fn search_path(job: &Job<'_>) -> Vec<PathBuf> {
    let places = [job.folder.join("actions/lib"), job.folder.join("lib")];
    places.into_iter().filter(|place| place.is_dir()).collect()
}

/// The message to the run.
pub(super) fn wanted(
    job: &Job<'_>,
    parameters: &Map<String, Value>,
    environment: &[(OsString, OsString)],
) -> Result<Vec<u8>, String> {
    let file = job.folder.join("actions").join(&job.action.entry_point);
    if !file.is_file() {
        return Err(format!("the action's file actions/{} is missing", job.action.entry_point));
    }
    let own: Map<String, Value> = parameters
        .iter()
        .filter(|(name, _)| !job.action.is_runner_parameter(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let environment: Map<String, Value> = environment
        .iter()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into()))
        .collect();
    let wanted = json!({
        "pack": job.action.pack,
        "folder": job.folder,
        "file": file,
        "parameters": own,
        "config": config(job)?,
        "log_level": parameters.get("log_level"),
        "environment": environment,
        "working_folder": job.config.folder,
        "python_path": search_path(job),
    });
    serde_json::to_vec(&wanted).map_err(|error| format!("a run cannot be told: {error}"))
}

/// The pack's configuration, with what it takes from the datastore.
fn config(job: &Job<'_>) -> Result<Map<String, Value>, String> {
    let data = data_folder(job.folder).ok_or("the data folder is not known")?;
    let (pack, configs) = (&job.action.pack, data.join("configs"));
    let loaded = config::rendered(pack, job.folder, &configs, &job.config.datastore);
    let config::Loaded { values, secrets } = loaded.map_err(|error| chain(&error))?;
    job.hidden.add(secrets);
    Ok(values)
}

/// Variables that the request gives.
fn given(parameters: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let given = parameters.get("env").and_then(Value::as_object);
    given.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_act_at_the_start_of_an_interpreter_need_a_start() {
        let parameters = |name: &str| Map::from_iter([("env".to_owned(), json!({name: "x"}))]);
        for (name, can) in [
            ("TOKEN", true),
            ("TZ", true),
            ("PYTHONHASHSEED", false),
            ("LD_LIBRARY_PATH", false),
            ("LC_ALL", false),
            ("LANG", false),
        ] {
            assert_eq!(can_be_forked(&parameters(name)), can, "{name}");
        }
        assert!(can_be_forked(&Map::new()));
        assert!(check(&parameters("TOKEN")).is_ok());
        for name in ["pythonpath", "", "a=b"] {
            assert!(check(&parameters(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn api_is_told_with_its_version() {
        for (url, expected) in [
            ("http://127.0.0.1:9101", "http://127.0.0.1:9101/v1"),
            ("http://127.0.0.1:9101/", "http://127.0.0.1:9101/v1"),
            ("https://st2/api/v1", "https://st2/api/v1"),
            ("", ""),
        ] {
            assert_eq!(api_url(url), expected);
        }
    }
}
