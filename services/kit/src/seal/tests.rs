//! What sealing promises, against values that were changed, moved, or made by others.

use hearken_proto::Timestamp;

use super::*;

fn sealer(digit: char) -> Sealer {
    Sealer::from_hex(&digit.to_string().repeat(64)).unwrap()
}

fn request(parameters: Value, secret: &[&str]) -> ActionRequest {
    let request = json!({
        "execution": "0123456789abcdef01234567", "action": "demo.login", "digest": "d",
        "parameters": parameters, "secret": secret, "requested_at": Timestamp::EPOCH,
    });
    serde_json::from_value(request).unwrap()
}

#[test]
fn every_value_opens_again_and_no_two_look_alike() {
    let sealer = sealer('a');
    for value in
        [json!("hunter2"), json!(""), json!(5), json!(false), json!({"a": ["b", null]}), json!([])]
    {
        let sealed = sealer.seal(&value, "here").unwrap();
        assert_ne!(sealed, sealer.seal(&value, "here").unwrap());
        let text = sealed.to_string();
        assert!(text.starts_with(&format!("{{\"$sealed\":\"v1:{}:", sealer.key_id())), "{text}");
        assert_eq!(sealer.open(&sealed, "here").unwrap(), value);
    }
}

#[test]
fn what_was_changed_moved_or_made_up_is_refused_in_words() {
    let ours = sealer('a');
    let sealed = ours.seal(&json!("hunter2"), "here").unwrap();
    let text = text_of(&sealed).unwrap().to_owned();
    let flipped = |at: usize| {
        let other = if text.as_bytes()[at] == b'A' { 'B' } else { 'A' };
        json!({MEMBER: format!("{}{other}{}", &text[..at], &text[at + 1..])})
    };
    let name = ours.key_id();
    let rows = [
        (ours.open(&sealed, "there"), "was changed"),
        (ours.open(&flipped(12), "here"), "was changed"),
        (ours.open(&flipped(text.len() - 3), "here"), "was changed"),
        (ours.open(&json!({MEMBER: format!("v1:{name}:")}), "here"), "was changed"),
        (ours.open(&json!({MEMBER: format!("v1:{name}:AAAA")}), "here"), "was changed"),
        (ours.open(&json!({MEMBER: format!("v1:{name}:%%")}), "here"), "was changed"),
        (ours.open(&json!({MEMBER: format!("v2:{name}:AAAA")}), "here"), "not known here"),
        (ours.open(&json!({MEMBER: "v1"}), "here"), "not known here"),
        (ours.open(&json!({MEMBER: 5}), "here"), "not known here"),
        (ours.open(&json!("plain"), "here"), "not known here"),
        (sealer('b').open(&sealed, "here"), "copy <data>/key"),
    ];
    for (opened, expected) in rows {
        let error = opened.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    for text in ["", "abc", &"g".repeat(64), &"é".repeat(32)] {
        assert!(matches!(Sealer::from_hex(text), Err(Error::Key)), "{text}");
    }
}

#[test]
fn of_a_request_the_secrets_are_sealed_and_what_repeats_them() {
    let sealer = sealer('a');
    let parameters = json!({
        "password": "hunter2", "token": null, "cmd": "login -p hunter2 now", "user": "me",
        "env": {"PW": "hunter2"}, "pin": 1,
    });
    let mut sealed = request(parameters.clone(), &["password", "token", "absent", "pin"]);
    sealer.seal_request(&mut sealed).unwrap();
    let text = serde_json::to_string(&sealed).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(sealed.parameters["user"], "me");
    assert_eq!(sealed.parameters["token"], Value::Null);
    assert_eq!(Value::Object(sealer.open_request(&sealed).unwrap()), parameters);
    let shown = Value::Object(shown(&sealed));
    let expected = json!({
        "password": MASK, "token": null, "cmd": MASK, "user": "me", "env": MASK, "pin": MASK,
    });
    assert_eq!(shown, expected);
}

#[test]
fn what_only_looks_sealed_is_data() {
    let sealer = sealer('a');
    let mut victim = request(json!({"password": "hunter2"}), &["password"]);
    sealer.seal_request(&mut victim).unwrap();
    let stolen = victim.parameters["password"].clone();
    // As a parameter that is not secret it stays what it is.
    let plain = request(json!({"message": stolen}), &[]);
    assert_eq!(sealer.open_request(&plain).unwrap()["message"], stolen);
    // As a secret of another action, or another parameter, it does not open.
    let mut moved = request(json!({"password": stolen}), &["password"]);
    moved.action = "core.echo".to_owned();
    let renamed = request(json!({"token": stolen}), &["token"]);
    for (request, name) in [(&moved, "\"password\""), (&renamed, "\"token\"")] {
        let error = sealer.open_request(request).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("another action"), "{error}");
    }
    // Another execution of the same action may be a copy.
    let mut again = victim.clone();
    again.execution = "0123456789abcdef89abcdef".to_owned();
    assert_eq!(sealer.open_request(&again).unwrap()["password"], "hunter2");
    // Given to somebody who seals, it comes out as it was given.
    let mut given = request(json!({"password": stolen}), &["password"]);
    sealer.seal_request(&mut given).unwrap();
    assert_eq!(sealer.open_request(&given).unwrap()["password"], stolen);
}

#[test]
fn texts_of_secrets_are_hidden_wherever_they_are_said() {
    let parameters = json!({"a": "hunter2", "b": {"c": "hunter22"}, "d": 123_456, "e": "ab"});
    let names = ["a", "b", "d", "e"].map(str::to_owned);
    let secrets = Secrets::of(&names, parameters.as_object().unwrap());
    assert_eq!(secrets.hide("x hunter2 hunter22 123456 ab"), format!("x {MASK} {MASK} {MASK} ab"));
    assert!(secrets.appear_in(&json!({"k": ["see hunter2"]})));
    assert!(!secrets.appear_in(&json!({"k": ["nothing", 5, null]})));
}

#[test]
fn a_secret_is_found_within_json_too() {
    let secret = "a\"b\\c\u{e9}\n";
    let python = r#"{"t": "a\"b\\c\u00e9\n"}"#;
    let parameters = json!({
        "password": secret, "ours": json!({"t": secret}).to_string(), "python": python,
        "other": "a",
    });
    let mut sealed = request(parameters, &["password"]);
    sealer('a').seal_request(&mut sealed).unwrap();
    sealed.secret.sort();
    assert_eq!(sealed.secret, ["ours", "password", "python"]);
    let secrets = Secrets::of(&["p".to_owned()], json!({"p": secret}).as_object().unwrap());
    assert_eq!(secrets.hide(python), format!(r#"{{"t": "{MASK}"}}"#));
}
