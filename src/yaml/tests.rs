//! What is written is read as it was, and what is read means what YAML says.

use serde_json::{Value, json};

use super::{Node, parse, to_yaml};

/// The one document of a text, as JSON.
fn json_of(text: &str) -> String {
    let documents = parse(text).expect(text);
    assert_eq!(documents.len(), 1, "{text}");
    serde_json::to_string(&documents[0]).expect("JSON")
}

fn error_of(text: &str) -> (usize, String) {
    let error = parse(text).expect_err(text);
    (error.line, error.to_string())
}

#[test]
fn scalars_mean_what_the_core_schema_says() {
    for (text, json) in [
        ("[null, ~, Null, '']", r#"[null,null,null,""]"#),
        (
            "[true, False, yes, no, on]",
            r#"[true,false,"yes","no","on"]"#,
        ),
        (
            "[1, -0, 1.50, 1e17, 12345678901234567890123]",
            "[1,-0,1.50,1e17,12345678901234567890123]",
        ),
        (
            "[+1, 007, 0o17, 0xff, .5, 5., '1']",
            r#"[1,7,15,255,0.5,5.0,"1"]"#,
        ),
        (
            "[2026-01-31, 1_000, 1.2.3, =]",
            r#"["2026-01-31","1_000","1.2.3","="]"#,
        ),
        (
            "a: |\n  b\n   c\n\nd: >-\n  e\n  f\n",
            "{\"a\":\"b\\n c\\n\",\"d\":\"e f\"}",
        ),
        ("1: a\ntrue: b\n", r#"{"1":"a","true":"b"}"#),
        ("!!str 12", "\"12\""),
        ("a: &x {b: 1}\nc: *x\n", r#"{"a":{"b":1},"c":{"b":1}}"#),
        (
            "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\ne:\n  <<: [{b: 4}, *x]\n",
            r#"{"a":{"b":1,"c":2},"d":{"c":3,"b":1},"e":{"b":4,"c":2}}"#,
        ),
        (
            "{\n\t\"a\": \"\\/ \\ud83d\\ude00 \\\\ud83d\"\n}",
            "{\"a\":\"/ 😀 \\\\ud83d\"}",
        ),
    ] {
        assert_eq!(json_of(text), json, "{text}");
    }
    let documents = parse("---\na: 1\n---\n---\nb: 2\n...\n").expect("YAML");
    assert_eq!(documents.len(), 2);
}

#[test]
fn what_is_wrong_has_a_line() {
    for (text, line, detail) in [
        ("a: 1\nb: [", 3, "is not YAML"),
        ("a: 1\n\na: 2\n", 3, "\"a\" is in line 1, too"),
        ("a: .inf", 1, "JSON does not have"),
        ("a:\n  b: !secret x", 2, "the tag !secret"),
        ("a: \"\\0\"", 1, "NUL"),
        ("a: &x [*x]", 1, "an alias stands for what it is in"),
        ("? [a]\n: b", 1, "must be a text"),
        ("a:\n  <<: 1", 2, "<< takes an object"),
    ] {
        let (at, said) = error_of(text);
        assert!(at == line && said.contains(detail), "{text}: {at}: {said}");
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert!(error_of(&deep).1.contains("deeper than 128"));
}

#[test]
fn aliases_can_not_fill_the_memory() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        let items = [before.as_str(); 9].join(", ");
        let line = format!("a{level}: &a{level} [{items}]\n");
        bomb.push_str(&line);
    }
    assert!(
        error_of(&bomb)
            .1
            .contains("too large, with what aliases stand for")
    );
}

/// A value that the numbers after `seed` choose.
fn value(seed: &mut u64, depth: u32) -> Value {
    const PIECES: [&str; 25] = [
        "a", "B", "é", " ", "  ", "\n", "\n\n", "\t", ":", "#", "-", "'", "\"", "\\", "\r",
        "\u{7f}", "\u{85}", "\u{2028}", "\u{feff}", "😀", "1", "no", "{", "\u{1}", "\u{202e}",
    ];
    let mut next = |below: u64| {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below
    };
    let mut text = || {
        let count = next(6);
        let pieces = (0..count).map(|_| PIECES[usize::try_from(next(25)).expect("small")]);
        pieces.collect::<String>()
    };
    let (first, second, third) = (text(), text(), text());
    match next(if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(next(2) == 1),
        2 => json!(next(1_000_000)),
        3 => json!(first.replace(' ', "word ")),
        4 => json!(first),
        5 => (0..next(4)).map(|_| value(seed, depth - 1)).collect(),
        _ => [first, second, third]
            .into_iter()
            .map(|name| (name, value(seed, depth - 1)))
            .collect(),
    }
}

#[test]
fn any_value_is_read_as_it_was_written() {
    let mut seed = 1;
    for _ in 0..20_000 {
        let value = json!({"v": value(&mut seed, 4)});
        let node = Node::parse(&value.to_string()).expect("JSON");
        let text = to_yaml(&node);
        let read = parse(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", error.line));
        assert_eq!(read.first(), Some(&node), "{text}");
        let again = read.first().map(to_yaml);
        assert_eq!(again.as_deref(), Some(text.as_str()));
    }
    let long = json!({"\u{1}".repeat(256): {"x": 1}});
    let node = Node::parse(&long.to_string()).expect("JSON");
    let read = parse(&to_yaml(&node)).expect("YAML");
    assert_eq!(read, [node]);
}
