//! Files of other systems: converted, planned, applied, exported, and converted again.

use std::{fs, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use test_support::{TestApp, TestDatabase, binary, on_both_databases};

const TEAM: &str = include_str!("../../../src/formats/samples/team.yaml");
const REVIEWER: &str = include_str!("../../../src/formats/samples/reviewer.md");
const AGENTS: &str = include_str!("../../../src/formats/samples/agents.yaml");
const COMPONENT: &str = include_str!("../../../src/formats/samples/component.json");
const MEMORY: &str = include_str!("../../../src/formats/samples/memory.af");

struct Workspace<'d> {
    folder: TempDir,
    database: &'d TestDatabase,
}

impl<'d> Workspace<'d> {
    fn new(database: &'d TestDatabase) -> Self {
        let folder = TempDir::new().expect("a folder");
        Self { folder, database }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    fn run(&self, command: &[&str]) -> Output {
        binary::run(&[command, &["--database-url", &self.database.url]].concat())
    }

    /// What a command prints, and its messages.
    #[track_caller]
    fn output_of(&self, command: &[&str]) -> (String, String) {
        let output = self.run(command);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let (printed, messages) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{command:?}: {messages}");
        (printed, messages)
    }

    #[track_caller]
    fn apply(&self, document: &str) {
        self.output_of(&["apply", "--yes", document]);
        let (plan, _) = self.output_of(&["plan", "--exit-code", document]);
        assert!(
            plan.starts_with("0 to create, 0 to change, 0 to delete"),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn a_converted_file_is_applied_and_twice_changes_nothing() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let files = Workspace::new(database);
        for (name, text) in [
            ("team.yaml", TEAM),
            ("reviewer.md", REVIEWER),
            ("agents.yaml", AGENTS),
            ("component.json", COMPONENT),
            ("memory.af", MEMORY),
        ] {
            let file = files.write(name, text);
            let convert = ["convert", &file, "--owner", "imports"];
            let (first, _) = files.output_of(&convert);
            let document = files.write("document.yaml", &first);
            files.apply(&document);
            // The catalogue knows all models now, and what the owner has stays described: pruning deletes nothing of it.
            let (again, report) = files.output_of(&convert);
            assert_eq!(first, again, "{report}");
        }
        let handles = app.get("/v1/circles/team/handles").await.ok();
        let root = &handles["handles"][0];
        assert_eq!(
            (&root["role"], &root["model"], &root["max_tokens"]),
            (&json!("lead"), &json!("claude-sonnet-4-5"), &json!(8000))
        );
        assert_eq!(root["tools"][3]["server"]["transport"], "sse");
        assert_eq!(root["api_key_env"], "ANTHROPIC_API_KEY");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn models_are_those_of_the_catalogue() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let files = Workspace::new(database);
        let provider = app.a_provider("anthropic").await;
        for name in ["claude-sonnet-4-20250514", "claude-sonnet-4-5-20250929"] {
            let model = json!({"provider_id": provider, "model_name": name});
            app.post("/v1/models", &model).await.created();
        }
        let agent = |name: &str, model: &str| {
            let text = format!(
                "---\nname: {name}\ndescription: d\ntools: []\nmodel: {model}\n---\nText\n"
            );
            files.write(&format!("agents/{name}.md"), &text);
        };
        agent("one", "claude-sonnet-4-5");
        agent("two", "sonnet");
        agent("three", "claude-3-haiku");
        agent("four", "inherit");
        let folder = files.folder.path().join("agents").display().to_string();
        let table = files.write(
            "models.txt",
            "# theirs = ours\ninherit=anthropic/claude-sonnet-4-20250514\n",
        );
        let command = [
            "convert", &folder, "--circle", "c", "--models", &table, "--report", "json",
            "--format", "json",
        ];
        let (document, report) = files.output_of(&command);
        let document: Value = serde_json::from_str(&document).expect("JSON");
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let agents = document["agents"].as_array().expect("agents");
        let model = |name: &str| {
            let agent = agents.iter().find(|agent| agent["name"] == name);
            agent.expect("an agent")["model"].clone()
        };
        assert_eq!(model("one"), "anthropic/claude-sonnet-4-5-20250929");
        assert_eq!(model("two"), "anthropic/claude-sonnet-4-5-20250929");
        assert_eq!(model("three"), "anthropic/claude-3-haiku");
        assert_eq!(model("four"), "anthropic/claude-sonnet-4-20250514");
        assert_eq!(
            document["models"],
            json!([{"provider": "anthropic", "model_name": "claude-3-haiku"}])
        );
        assert!(document.get("providers").is_none(), "it exists: {document}");
        let choices = report["models"].as_array().expect("choices");
        let how = |name: &str| {
            let choice = choices.iter().find(|choice| choice["name"] == name);
            choice.unwrap_or_else(|| panic!("{name}: {report}"))["how"].clone()
        };
        assert_eq!(how("claude-sonnet-4-5"), "alias");
        assert_eq!(how("sonnet"), "alias");
        assert_eq!(how("claude-3-haiku"), "described");
        assert_eq!(how("inherit"), "given");
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_imported_is_exported_and_imported_as_it_was() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let files = Workspace::new(database);
        // What Docker Agent's files have and its current schema has, too.
        let kept = TEAM
            .replace("version: \"5\"\n", "")
            .replace("  tags: [demo]\n", "")
            .replace("    some_new_field: kept as it is\n", "")
            .replace("    cost: {input: 3, output: 15}\n", "")
            .replace("    temperature: 0.3\n", "")
            .replace(
                "  never:\n    provider: openai\n    model: gpt-3.5-turbo\n",
                "",
            );
        let team = files.write("team.yaml", &kept);
        let (first, _) = files.output_of(&["convert", &team]);
        files.apply(&files.write("first.yaml", &first));
        let (exported, _) =
            files.output_of(&["export", "--circle", "team", "--format", "docker-agent"]);
        let again = files.write("again/team.yaml", &exported);
        let (second, report) = files.output_of(&["convert", &again]);
        let second = files.write("second.yaml", &second);
        let (plan, _) = files.output_of(&["plan", &second]);
        assert!(
            plan.starts_with("0 to create, 0 to change, 0 to delete"),
            "{plan}\n{exported}\n{report}"
        );

        let reviewer = files.write("reviewer.md", REVIEWER);
        let command = ["convert", &reviewer, "--circle", "reviews"];
        let (first, _) = files.output_of(&command);
        files.apply(&files.write("first.yaml", &first));
        let folder = files.folder.path().join("exported").display().to_string();
        let export = [
            "export", "--circle", "reviews", "--format", "claude", "--output", &folder,
        ];
        files.output_of(&export);
        let command = ["convert", &folder, "--circle", "reviews"];
        let (second, report) = files.output_of(&command);
        let second = files.write("second.yaml", &second);
        let (plan, _) = files.output_of(&["plan", &second]);
        assert!(
            plan.starts_with("0 to create, 0 to change, 0 to delete"),
            "{plan}\n{report}"
        );
        let refused = files.run(&["export", "--format", "claude"]);
        assert_eq!(refused.status.code(), Some(1));
        app.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_document_that_the_registry_would_refuse_is_not_printed() {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let files = Workspace::new(database);
        let team = files.write(
            "team.yaml",
            &TEAM.replace("docs.example.com/mcp", "docs.example.com/m c p"),
        );
        let (_, report) = files.output_of(&["convert", &team]);
        assert!(
            report.contains("without a command or a fixed address is a builtin tool"),
            "{report}"
        );
        let long = TEAM.replace("You write and test code.", &"x".repeat(500_001));
        let long = files.write("long.yaml", &long);
        let output = files.run(&["convert", &long]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(1), 0),
            "{said}"
        );
        assert!(said.contains("system_prompt"), "{said}");
        let several = files.run(&["convert", &team, &long, "--circle", "c"]);
        let said = String::from_utf8_lossy(&several.stderr);
        assert!(said.contains("--circle names one"), "{said}");
        app.stop().await;
    })
    .await;
}
