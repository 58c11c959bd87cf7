//! From parameters to a request, in rows.

use serde_json::json;

use super::*;

fn read(parameters: Value) -> Result<Wanted, String> {
    let action = json!({"name": "fetch", "runner_type": "http-request"});
    let action = Action::from_value("demo", &action).0.unwrap();
    Wanted::read(&action, parameters.as_object().unwrap())
}

fn request(parameters: Value) -> String {
    let wanted = read(parameters).unwrap();
    let mut text = format!("{} {}", wanted.method, wanted.url);
    for (name, value) in &wanted.headers {
        if !["user-agent", "x-stanley-action"].contains(&name.as_str()) {
            text.extend(["\n", name.as_str(), ": ", value.to_str().unwrap()]);
        }
    }
    if let Some(body) = wanted.body {
        text.extend(["\n\n", std::str::from_utf8(&body).unwrap()]);
    }
    text
}

#[test]
fn parameters_make_a_request() {
    let url = "http://h/a";
    let rows = [
        (json!({"url": url}), "GET http://h/a"),
        (json!({"url": url, "method": "purge"}), "PURGE http://h/a"),
        (json!({"url": url, "body": ""}), "GET http://h/a"),
        (json!({"url": url, "body": "x"}), "POST http://h/a\n\nx"),
        (json!({"url": url, "body": "x", "method": "PUT"}), "PUT http://h/a\n\nx"),
        (
            json!({"url": url, "headers": {"Content-Type": "application/json"}, "body": {"a": 1}}),
            "POST http://h/a\ncontent-type: application/json\n\n{\"a\":1}",
        ),
        (
            json!({"url": url, "headers": "content-type=application/json, x=1=2", "body": "{}"}),
            "POST http://h/a\ncontent-type: application/json\nx: 1=2\n\n{}",
        ),
        (
            json!({"url": url, "body": {"a": "1 2", "b": true, "c": null}}),
            "POST http://h/a\ncontent-type: application/x-www-form-urlencoded\n\na=1+2&b=True",
        ),
        (
            json!({"url": url, "body": [1]}),
            "POST http://h/a\ncontent-type: application/json\n\n[1]",
        ),
        (
            json!({"url": "http://h/a?x=1#f", "params": {"q": "a b", "l": [1, 2], "n": null}}),
            "GET http://h/a?x=1&q=a+b&l=1&l=2#f",
        ),
        (json!({"url": url, "params": {"n": null}}), "GET http://h/a"),
        (json!({"url": "http://h/a?x=1", "params": "y=2"}), "GET http://h/a?x=1&y=2"),
        (json!({"url": url, "cookies": {"a": "1", "b": 2}}), "GET http://h/a\ncookie: a=1; b=2"),
        (
            json!({"url": url, "username": "me", "password": "pw"}),
            "GET http://h/a\nauthorization: Basic bWU6cHc=",
        ),
        (json!({"url": "http://me:p%77@h/a"}), "GET http://h/a\nauthorization: Basic bWU6cHc="),
        (json!({"url": url, "auth": "x-auth-token=XYZ"}), "GET http://h/a\nx-auth-token: XYZ"),
        (json!({"url": url, "auth": "Bearer X"}), "GET http://h/a\nauthorization: Bearer X"),
    ];
    for (parameters, expected) in rows {
        assert_eq!(request(parameters.clone()), expected, "{parameters}");
    }
}

#[test]
fn who_asks_is_said_unless_the_action_says_it() {
    let wanted = read(json!({"url": "http://h"})).unwrap();
    assert_eq!(wanted.headers["x-stanley-action"], "fetch");
    assert!(wanted.headers["user-agent"].to_str().unwrap().starts_with("hearken/"));
    let wanted = read(json!({"url": "http://h", "headers": {"User-Agent": "me"}})).unwrap();
    assert_eq!(wanted.headers["user-agent"], "me");
}

#[test]
fn a_file_is_a_form_with_one_field() {
    let wanted = read(json!({
        "url": "http://h", "file_name": "a\"\r\nb.txt", "file_content": "hello",
        "file_content_type": "text/plain", "body": {"note": "x"},
    }))
    .unwrap();
    assert_eq!(wanted.method, Method::POST);
    let kind = wanted.headers["content-type"].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nx\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ab.txt\"; \
         filename=\"a%22%0D%0Ab.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
         --{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8(wanted.body.unwrap()).unwrap(), expected);
}

#[test]
fn what_makes_no_request_is_refused_in_words() {
    let rows = [
        (json!({}), "\"url\" is empty"),
        (json!({"url": "nonsense"}), "cannot be read"),
        (json!({"url": "ftp://h/a"}), "http:// or https://"),
        (json!({"url": "http:///"}), "cannot be read"),
        (json!({"url": "http://h", "method": "A B"}), "no method"),
        (json!({"url": "http://h", "headers": {"a b": "x"}}), "no name of a header"),
        (json!({"url": "http://h", "headers": {"a": "x\r\ny: z"}}), "line break"),
        (json!({"url": "http://h", "auth": "a=x\ny"}), "line break"),
        (json!({"url": "http://h", "file_path": "/etc/passwd"}), "for clients"),
        (json!({"url": "http://h", "file_name": "f", "body": "x"}), "more fields"),
        (
            json!({"url": "http://h", "url_hosts_blacklist": ["a"], "url_hosts_whitelist": ["b"]}),
            "exclude each other",
        ),
    ];
    for (parameters, expected) in rows {
        let why = read(parameters.clone()).unwrap_err();
        assert!(why.contains(expected), "{parameters}: {why}");
    }
    let why = read(json!({"url": "http://me:hunter2@[::"})).unwrap_err();
    assert!(!why.contains("hunter2"), "{why}");
}

#[test]
fn hosts_compare_by_name_alone() {
    let rows = [
        ("blacklist", "EVIL.example", "http://evil.example:8080/x", false),
        ("blacklist", "evil.example", "http://evil.example./x", false),
        ("blacklist", "evil.example", "http://evil.example@good.example/", true),
        ("blacklist", "[::1]", "http://[::1]:80/", false),
        ("blacklist", "127.0.0.1", "http://0x7f000001/", false),
        ("whitelist", "good.example", "https://good.example/", true),
        ("whitelist", "good.example", "https://sub.good.example/", false),
    ];
    for (list, host, url, allowed) in rows {
        let name = format!("url_hosts_{list}");
        let wanted = read(json!({"url": url, name: [host]})).unwrap();
        assert_eq!(wanted.hosts.check(&wanted.url).is_ok(), allowed, "{list} {host} {url}");
    }
}

#[test]
fn time_limits_are_kept_in_reason() {
    for (given, expected) in
        [(json!(null), 60), (json!(5), 5), (json!(0), 60), (json!(-1), 60), (json!(1e300), 86400)]
    {
        let wanted = read(json!({"url": "http://h", "timeout": given})).unwrap();
        assert_eq!(wanted.timeout.as_secs(), expected);
    }
}
