//! How long it takes to read 100,000 lines of haproxy.cfg into the tree. The goal is 1.5 s.

mod generated;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::haproxy::parse;
use shared_config::haproxy::predicate::Facts;

fn haproxy(criterion: &mut Criterion) {
    let text = generated::haproxy_cfg(100_000);
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
    let input = || vec![Input { path: "haproxy.cfg".into(), bytes: text.clone().into_bytes() }];
    group.bench_function("haproxy, 100000 lines", |bencher| {
        bencher.iter_batched(
            input,
            |input| parse(input, Env::default(), &Facts::default()).file.sections.len(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, haproxy);
criterion_main!(benches);
