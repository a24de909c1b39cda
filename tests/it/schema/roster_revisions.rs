//! The state of a roster changes with every change of a column that it shows, whichever writer makes it.
//! The columns are those of the entities: one that a roster shows and no trigger watches
//! fails here, by its name. Handles show more columns, but are neither cached nor have ETags.

use entity::{agent, member, model, provider};
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, EntityTrait, IdenStatic, Iterable, Statement,
};
use test_support::{TestApp, on_both_databases};

/// The circle, and the row of each table that its roster shows, have this id.
const ID: i64 = 1;

/// A row keeps its id, and a membership its circle and agent.
const NEVER_CHANGED: [&str; 3] = ["id", "circle_id", "agent_id"];

#[tokio::test]
async fn a_column_shown_in_the_roster_has_its_revision_trigger() {
    on_both_databases(async |database| {
        let mut settings = database.settings();
        settings.server.roster_cache_mib = 0;
        let app = TestApp::start(database.backend, settings).await;
        // `other_value` of a foreign key is the next id.
        for (provider, model) in [("p", "m"), ("q", "n")] {
            let provider = app.a_provider(provider).await;
            app.a_model(provider, model).await;
        }
        app.an_agent_on("a", ID).await;
        app.a_circle("team").await;
        app.a_member("team", ID).await;

        check_columns::<provider::Entity>(&app).await;
        check_columns::<model::Entity>(&app).await;
        check_columns::<agent::Entity>(&app).await;
        check_columns::<member::Entity>(&app).await;
        app.stop().await;
    })
    .await;
}

/// Changes each column of the row by itself and back again. The tag must change if the roster does, and
/// only then.
async fn check_columns<E: EntityTrait>(app: &TestApp) {
    let table = E::default().table_name().to_owned();
    run(
        app,
        &format!("CREATE TABLE {table}_before AS SELECT * FROM {table} WHERE id = {ID}"),
    )
    .await;
    let mut shown = 0;
    for column in E::Column::iter() {
        let name = column.as_str();
        if NEVER_CHANGED.contains(&name) {
            continue;
        }
        let column_name = format!("{table}.{name}");
        let other = other_value(app, &column_name, column.def().get_column_type()).await;
        let before = format!("(SELECT {name} FROM {table}_before)");
        for value in [other, before] {
            let (old_roster, old_tag) = roster_and_tag(app).await;
            run(
                app,
                &format!("UPDATE {table} SET {name} = {value} WHERE id = {ID}"),
            )
            .await;
            let (roster, tag) = roster_and_tag(app).await;
            let is_shown = roster != old_roster;
            assert_eq!(
                tag != old_tag,
                is_shown,
                "{column_name} is shown: {is_shown}, but the tag went from {old_tag} to {tag}"
            );
            shown += usize::from(is_shown);
        }
    }
    assert!(shown > 0, "no column of {table} is shown");
}

async fn roster_and_tag(app: &TestApp) -> (String, String) {
    let answer = app.get("/v1/circles/team").await;
    let tag = answer.header("etag").to_owned();
    assert_eq!(answer.status, 200, "{}", answer.text);
    (answer.text, tag)
}

/// An expression for another value that the column may have.
async fn other_value(app: &TestApp, column: &str, column_type: &ColumnType) -> String {
    let (table, name) = column.split_once('.').expect("a table and a column");
    match (column, column_type) {
        ("agents.status", _) => "'busy'".to_owned(),
        ("members.role", _) => "'lead'".to_owned(),
        (_, ColumnType::Boolean) => format!("NOT {name}"),
        (_, ColumnType::Text | ColumnType::String(_)) => format!("COALESCE({name}, '') || 'x'"),
        (_, ColumnType::Integer | ColumnType::BigInteger) => format!("COALESCE({name}, 0) + 1"),
        (_, ColumnType::Double) => format!("COALESCE({name}, 0) + 0.5"),
        (_, ColumnType::Date) => "'2020-01-02'".to_owned(),
        (_, ColumnType::TimestampWithTimeZone) => "'2020-01-02T03:04:05+00:00'".to_owned(),
        (_, ColumnType::Json | ColumnType::JsonBinary) => {
            let sql = format!("SELECT CAST({name} AS text) FROM {table} WHERE id = {ID}");
            if text_of(app, &sql).await.starts_with('[') {
                r#"'["x"]'"#.to_owned()
            } else {
                r#"'{"x": 1}'"#.to_owned()
            }
        }
        _ => panic!("another value of {column}, which is {column_type:?}?"),
    }
}

async fn text_of(app: &TestApp, sql: &str) -> String {
    let db = app.database.connection();
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.expect(sql);
    row.and_then(|row| row.try_get_by_index(0).ok()).expect(sql)
}

async fn run(app: &TestApp, sql: &str) {
    let db = app.database.connection();
    db.execute_unprepared(sql).await.expect(sql);
}
