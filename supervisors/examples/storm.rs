//! Sends a storm of requests, some of which panic or hang, and prints what came of them.
//!
//! `cargo run --release --example storm -- [requests] [hangs] [seed]`

#![expect(clippy::print_stdout, reason = "an example prints")]

#[path = "../tests/storm/mod.rs"]
mod storm;

fn main() -> Result<(), supervisors::TreeError> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|number| number.parse().ok());
    let requests = numbers.next().unwrap_or(100_000).max(100);
    let hangs = numbers.next().unwrap_or(8);
    let seed = numbers.next().unwrap_or(42);
    let figures = actix::System::new().block_on(storm::run(requests, hangs, seed))?;
    for wrong in &figures.wrong {
        println!("wrong answer to {wrong}");
    }
    println!("requests  {:>9}", figures.requests);
    println!("ok        {:>9}", figures.ok);
    println!("crashed   {:>9}", figures.crashed);
    println!("hung      {:>9}", figures.hung);
    println!("wrong     {:>9}", figures.wrong.len());
    println!("restarts  {:>9}", figures.restarts);
    println!("zombies   {:>9}", figures.zombies);
    println!("drained   {:>9}", figures.drained);
    let rate = figures.requests as f64 / figures.took.as_secs_f64();
    println!("req/s     {rate:>9.0}");
    Ok(())
}
