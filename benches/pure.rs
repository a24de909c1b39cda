//! What the service does without a database, by itself: `cargo bench --bench pure`.

use std::hint::black_box;

use circle_registry::{
    page::{Page, PageRequest},
    routes,
};
use criterion::{Criterion, criterion_group, criterion_main};
use entity::price::Price;

fn prices(criterion: &mut Criterion) {
    criterion.bench_function("a price from its text", |bencher| {
        bencher.iter(|| black_box("2.5000000000").parse::<Price>());
    });
    criterion.bench_function("a price from dollars per token", |bencher| {
        bencher.iter(|| Price::from_dollars_per_token(black_box("3.0001999999999996E-7")));
    });
    let price: Price = "12345678.0123456789".parse().expect("a price");
    criterion.bench_function("a price as its text", |bencher| {
        bencher.iter(|| black_box(price).to_string());
    });
}

fn pages(criterion: &mut Criterion) {
    let first = PageRequest::parse(Some(50), None, None).expect("a request");
    criterion.bench_function("a page of fifty, with its cursor", |bencher| {
        bencher.iter(|| Page::cut((0..51).collect(), black_box(first), None, |id| *id));
    });
    let cursor = Page::cut((0..51).collect(), first, None, |id| *id).next_cursor;
    criterion.bench_function("a cursor, read", |bencher| {
        bencher.iter(|| PageRequest::parse(Some(50), black_box(cursor.as_deref()), None));
    });
}

/// Most of what a start does beside opening the database.
fn description(criterion: &mut Criterion) {
    criterion.bench_function("the description of the API", |bencher| {
        bencher.iter(routes::description);
    });
}

criterion_group!(benches, prices, pages, description);
criterion_main!(benches);
