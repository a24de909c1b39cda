use serde_json::json;

use super::*;

fn between(before: &Value, after: &Value) -> Value {
    serde_json::to_value(changes(before, after)).expect("JSON")
}

#[test]
fn fields_are_compared_by_path() {
    let before =
        json!({"name": "Ada", "params": {"top_p": 1, "seed": 7}, "gone": null, "same": [1]});
    let after = json!({"same": [1], "name": "Eve", "params": {"seed": 7, "top_k": 4}});
    assert_eq!(
        between(&before, &after),
        json!([
            {"path": "name", "before": "Ada", "after": "Eve"},
            {"path": "params.top_p", "before": 1},
            {"path": "params.top_k", "after": 4},
            {"path": "gone", "before": null},
        ])
    );
    assert_eq!(between(&after, &after), json!([]));
}

#[test]
fn objects_in_lists_are_compared_by_name() {
    let tool = |name: &str, limit: i64| json!({"type": "builtin", "name": name, "limit": limit});
    let before = json!({"tools": [tool("a", 1), tool("b", 2), tool("c", 3)]});
    let after = json!({"tools": [tool("c", 3), tool("b", 5), {"type": "mcp", "server": "git"}]});
    assert_eq!(
        between(&before, &after),
        json!([
            {"path": "tools", "before": ["b", "c"], "after": ["c", "b"]},
            {"path": "tools[a]", "before": tool("a", 1)},
            {"path": "tools[b].limit", "before": 2, "after": 5},
            {"path": "tools[git]", "after": {"type": "mcp", "server": "git"}},
        ])
    );
}

#[test]
fn other_lists_are_compared_as_a_whole() {
    let same_name = json!([{"name": "a", "x": 1}, {"name": "a", "x": 2}]);
    for (before, after) in [
        (json!([1, 2]), json!([2, 1])),
        (same_name, json!([{"name": "a", "x": 1}])),
        (json!([{"x": 1}]), json!([{"x": 2}])),
        (json!([{"name": null}]), json!([])),
    ] {
        let expected = json!([{"path": "it", "before": before, "after": after}]);
        assert_eq!(
            between(&json!({"it": before}), &json!({"it": after})),
            expected
        );
    }
}

#[test]
fn texts_of_several_lines_are_compared_line_by_line() {
    let prompt = |line: &str| json!({"prompt": format!("You review.\n{line}\nThank you.\n")});
    let change = between(&prompt("Be kind."), &prompt("Be brief."));
    let diff = "@@ -1,3 +1,3 @@\n You review.\n-Be kind.\n+Be brief.\n Thank you.\n";
    assert_eq!(change, json!([{"path": "prompt", "diff": diff}]));
}

#[test]
fn long_texts_without_a_common_line_take_bounded_time() {
    let document = |seed: u32| {
        let lines: Vec<String> = (0..200_000)
            .map(|line| (line * 2 + seed).to_string())
            .collect();
        let text = lines.join("\n");
        json!({"a": text, "b": {"a": text}})
    };
    let (before, after) = (document(0), document(1));
    let start = Instant::now();
    assert_eq!(changes(&before, &after).len(), 2);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn changes_are_printed_as_lines_that_command_no_terminal() {
    let before = json!({"a": 1, "gone": "x\u{1b}[2J", "prompt": "one\ntwo\u{1b}c\n"});
    let after = json!({"a": 2, "prompt": "one\nthree\n", "new": {}});
    let changes = changes(&before, &after);
    let plain = print(&changes, false);
    assert_eq!(
        plain,
        "- a: 1\n+ a: 2\n- gone: \"x\\u001b[2J\"\n~ prompt\n@@ -1,2 +1,2 @@\n one\n-two\\u{1b}c\n+three\n+ new: {}\n"
    );
    let coloured = print(&changes, true);
    assert!(
        coloured.starts_with("\u{1b}[31m- a: 1\u{1b}[0m\n\u{1b}[32m+ a: 2"),
        "{coloured}"
    );
    assert!(coloured.contains("\u{1b}[0m\n one\n"), "{coloured}");
}
