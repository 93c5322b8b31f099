//! `./justw bench`: what the connector costs, beside the bars that it is held to.
//!
//! A measurement and no test: it ends with exit code 0 whether a bar is met or not.

mod exchange;
mod expected;
mod guest_call;
mod process;
mod table;
mod whole_path;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host;
use connector_tests::opencti;

use guest_call::GuestCall;
use table::{Bar, Table};
use whole_path::{Measured, WholePath};

/// Notifications of a run.
const NOTIFICATIONS: usize = 1_000;

/// Rulesets that they come from.
const RULESETS: usize = 20;

/// Notifications on a page of the IoC stream, at most (virustotal-api section 2).
const PAGE: usize = 40;

/// Size of the sample that is copied, in bytes.
const SAMPLE: u64 = 400_000_000;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((process::LAUNCH, command)) = arguments
        .split_first()
        .map(|(it, rest)| (it.as_str(), rest))
    {
        return process::launch(command);
    }
    tokio::runtime::Runtime::new()?.block_on(bench())?;
    Ok(ExitCode::SUCCESS)
}

async fn bench() -> Result<()> {
    let now = now();
    let scenario = Scenario {
        now,
        notifications: NOTIFICATIONS,
        rulesets: RULESETS,
        bodies: false,
        mixed: false,
        ..Scenario::default()
    };
    let mut table = Table::default();

    eprintln!("measuring the guest …");
    add_guest(&mut table, &GuestCall::measure(&scenario)?)?;

    let path = WholePath::new(scenario)?;
    eprintln!("measuring the whole path …");
    add_path(&mut table, "api", &path.measure(None).await?);
    match host::rabbitmq().await {
        Some(url) => {
            eprintln!("measuring the whole path over RabbitMQ …");
            add_path(&mut table, "amqp", &path.measure(Some(&url)).await?);
        }
        None => table.note("Whole path, amqp: left out, since no RabbitMQ listens at AMQP_URL or on 127.0.0.1:5672"),
    }

    eprintln!("measuring a sample of {} MB …", SAMPLE / 1_000_000);
    let sample = whole_path::copy_sample(now, SAMPLE).await?;
    table.section(&format!("One sample of {} MB, copied", SAMPLE / 1_000_000));
    table.row_with_bar(
        "peak memory",
        table::megabytes(sample.peak),
        Bar::below_megabytes(sample.peak, 96),
    );
    table.row("time", format!("{:.2} s", sample.wall.as_secs_f64()));
    table.row("CPU", format!("{:.2} s", sample.cpu.as_secs_f64()));

    println!("{table}");
    Ok(())
}

fn add_guest(table: &mut Table, guest: &GuestCall) -> Result<()> {
    let microseconds = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
    table.section(&format!(
        "Guest: one call of map, {} notifications of {:.1} kB on average, answers known",
        guest.items,
        guest.bytes_per_item / 1e3
    ));
    let ratio = guest.component.as_secs_f64() / guest.native.as_secs_f64();
    table.row("in the component", microseconds(guest.component));
    table.row(
        "the same code compiled natively",
        microseconds(guest.native),
    );
    table.row_with_bar(
        "ratio",
        format!("{ratio:.2}"),
        Bar::new("≤ 1.6", ratio <= 1.6),
    );
    table.row(
        "the host's check of what came back",
        microseconds(guest.check),
    );
    table.row_with_bar(
        "a call that does nothing",
        microseconds(guest.empty),
        Bar::new("≤ 3 µs", guest.empty <= Duration::from_micros(3)),
    );
    let fresh = guest.fresh.saturating_sub(guest.component + guest.check);
    table.row_with_bar(
        "more in a fresh instance for each call",
        microseconds(fresh),
        Bar::new("≤ 40 µs", fresh <= Duration::from_micros(40)),
    );
    let size = std::fs::metadata(host::component()?)?.len();
    table.row_with_bar(
        "size of the component",
        format!("{size} B"),
        Bar::new("< 800000 B", size < 800_000),
    );
    table.row(
        "time to load it",
        format!("{:.0} ms", guest.load.as_secs_f64() * 1e3),
    );
    table.row_with_bar(
        "from nothing to a first call, compiled code cached",
        format!("{:.1} ms", guest.cold_start.as_secs_f64() * 1e3),
        Bar::new("< 50 ms", guest.cold_start < Duration::from_millis(50)),
    );
    let exchange = &guest.exchange;
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    table.section(&format!(
        "Exchange of the guest, {} times during {} calls, code cached",
        exchange.exchanges, exchange.calls
    ));
    table.row(
        "from loading to work, rehearsed",
        milliseconds(exchange.each),
    );
    table.row_with_bar(
        "longest call meanwhile",
        milliseconds(exchange.longest_call),
        Bar::new(
            "≤ 50 ms",
            exchange.longest_call <= Duration::from_millis(50),
        ),
    );
    Ok(())
}

fn add_path(table: &mut Table, protocol: &str, measured: &Measured) {
    let Measured {
        start,
        run,
        source_requests,
        platform_requests,
    } = measured;
    let each = |seconds: f64| seconds * 1e3 / NOTIFICATIONS as f64;
    let cpu = each(run.cpu.saturating_sub(start.cpu).as_secs_f64());
    let wall = run.wall.saturating_sub(start.wall).as_secs_f64();
    table.section(&format!(
        "Whole path, {protocol} ({}): {NOTIFICATIONS} notifications, {RULESETS} rulesets, no latency",
        opencti::Options::default().version
    ));
    table.row(
        "notifications per second",
        format!("{:.0}", NOTIFICATIONS as f64 / wall),
    );
    table.row_with_bar(
        "CPU per notification",
        format!("{cpu:.2} ms"),
        Bar::new("≤ 1 ms", cpu <= 1.0),
    );
    table.row(
        "the same with the start-up",
        format!("{:.2} ms", each(run.cpu.as_secs_f64())),
    );
    table.row(
        "CPU of the start-up",
        format!("{:.2} s", start.cpu.as_secs_f64()),
    );
    table.row(
        "time of the start-up",
        format!("{:.2} s", start.wall.as_secs_f64()),
    );
    table.row_with_bar(
        "peak memory",
        table::megabytes(run.peak),
        Bar::below_megabytes(run.peak, 64),
    );
    table.row(
        "peak memory without notifications",
        table::megabytes(start.peak),
    );
    for (kind, count) in source_requests {
        let limit = match kind.as_str() {
            "Page" => Some(NOTIFICATIONS.div_ceil(PAGE)),
            "Ruleset" => Some(RULESETS),
            _ => None,
        };
        let name = format!("requests to VirusTotal: {kind}");
        match limit {
            Some(limit) => table.row_with_bar(
                &name,
                count.to_string(),
                Bar::new(&format!("≤ {limit}"), *count <= limit),
            ),
            None => table.row(&name, count.to_string()),
        }
    }
    for (field, count) in platform_requests {
        table.row(&format!("requests to OpenCTI: {field}"), count.to_string());
    }
}
