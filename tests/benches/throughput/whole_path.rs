//! The program between both simulators.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use connector_tests::body::FileBody;
use connector_tests::fixtures::Scenario;
use connector_tests::virustotal::World;
use connector_tests::{host, opencti, virustotal};
use serde_json::json;

use crate::expected;
use crate::process::{self, Cost};

/// Runs of the same thing.
const RUNS: usize = 3;

/// Prefix of the guest's settings.
const PREFIX: &str = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";

/// What was measured.
pub struct Measured {
    /// A run with nothing to do.
    pub start: Cost,
    /// A run over all notifications.
    pub run: Cost,
    /// Requests of such a run by kind.
    pub source_requests: BTreeMap<String, usize>,
    /// Requests of such a run by GraphQL field.
    pub platform_requests: BTreeMap<String, usize>,
}

/// The notifications to be delivered, and what must arrive.
pub struct WholePath {
    scenario: Scenario,
    expected_ids: BTreeSet<String>,
}

impl WholePath {
    /// Maps all notifications natively.
    ///
    /// # Errors
    /// When one of them is not to be delivered.
    pub fn new(scenario: Scenario) -> Result<Self> {
        let mapper = expected::mapper()?;
        let world = scenario.world();
        let mut expected_ids = BTreeSet::new();
        for notification in &world.notifications {
            let item = expected::item(notification);
            let (_, emission) = expected::decide(&mapper, &world, &item, scenario.now)?;
            expected_ids.extend(emission.objects.into_iter().map(|object| object.id));
        }
        Ok(Self {
            scenario,
            expected_ids,
        })
    }

    /// Measures over the API, or over the RabbitMQ at `amqp_url`.
    ///
    /// # Errors
    /// When the program fails, or delivers anything else than it should.
    pub async fn measure(&self, amqp_url: Option<&str>) -> Result<Measured> {
        let empty = Scenario {
            notifications: 0,
            ..self.scenario.clone()
        };
        let (mut starts, mut runs) = (Vec::new(), Vec::new());
        let mut requests = None;
        for _ in 0..RUNS {
            starts.push(
                Simulators::start(empty.world(), amqp_url)
                    .await?
                    .run(&[])
                    .await?,
            );
            let simulators = Simulators::start(self.scenario.world(), amqp_url).await?;
            runs.push(simulators.run(&[]).await?);
            self.check(&simulators.platform).await?;
            requests = Some((simulators.source_requests(), simulators.platform_requests()));
            simulators.platform.stop().await?;
        }
        let (source_requests, platform_requests) = requests.context("nothing was run")?;
        Ok(Measured {
            start: Cost::of(starts).context("nothing was run")?,
            run: Cost::of(runs).context("nothing was run")?,
            source_requests,
            platform_requests,
        })
    }

    /// A number counts only for work that was done.
    async fn check(&self, platform: &opencti::Server) -> Result<()> {
        platform.until_works_complete().await?;
        let errors = platform.work_errors();
        ensure!(
            errors.is_empty(),
            "the platform refused objects: {errors:?}"
        );
        let missing = platform.read(|platform| {
            self.expected_ids
                .iter()
                .filter(|id| !platform.store.knows(id))
                .count()
        });
        ensure!(
            missing == 0,
            "{missing} of {} objects did not arrive",
            self.expected_ids.len()
        );
        Ok(())
    }
}

/// Copies one sample of `size` bytes.
///
/// # Errors
/// When the program fails, or the platform does not have the sample afterwards.
pub async fn copy_sample(now: u64, size: u64) -> Result<Cost> {
    let simulators = Simulators::start(sample_world(now, size)?, None).await?;
    let cost = simulators.run(&[("UPLOAD_ARTIFACT", "true")]).await?;
    let artifacts = simulators.platform.stored_of("artifact");
    ensure!(
        artifacts.len() == 1 && artifacts[0].size == Some(size),
        "the sample did not arrive: {artifacts:?}"
    );
    Ok(cost)
}

/// One notification of a file that can be downloaded.
fn sample_world(now: u64, size: u64) -> Result<World> {
    let scenario = Scenario {
        now,
        notifications: 1,
        rulesets: 1,
        bodies: false,
        mixed: false,
        ..Scenario::default()
    };
    let mut world = scenario.world();
    let mut item = world.notifications.pop().context("an empty world")?.item();
    let body = FileBody::new(scenario.seed, size);
    item["id"] = json!(body.sha256);
    for (name, value) in [
        ("sha256", json!(body.sha256)),
        ("sha1", json!(body.sha1)),
        ("md5", json!(body.md5)),
        ("size", json!(size)),
    ] {
        item["attributes"][name] = value;
    }
    world.add(&item);
    world.add_file(body);
    Ok(world)
}

/// Both services.
struct Simulators {
    source: virustotal::Server,
    platform: opencti::Server,
    protocol: &'static str,
}

impl Simulators {
    async fn start(world: World, amqp_url: Option<&str>) -> Result<Self> {
        Ok(Self {
            source: virustotal::Server::start(world).await?,
            platform: opencti::Server::start(opencti::Options {
                amqp_url: amqp_url.map(str::to_owned),
                ..opencti::Options::default()
            })
            .await?,
            protocol: if amqp_url.is_some() { "amqp" } else { "api" },
        })
    }

    /// One run of the program, to its end.
    async fn run(&self, settings: &[(&str, &str)]) -> Result<Cost> {
        let mut environment: BTreeMap<String, String> = [
            ("OPENCTI_URL", self.platform.url()),
            ("OPENCTI_TOKEN", self.platform.token().to_owned()),
            ("CONNECTOR_ID", host::CONNECTOR_ID.to_owned()),
            ("CONNECTOR_LOG_LEVEL", "warning".to_owned()),
            ("CONNECTOR_QUEUE_PROTOCOL", self.protocol.to_owned()),
            ("CONNECTOR_GUEST", host::component()?.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let place = [
            ("API_URL", self.source.api_url()),
            ("API_KEY", self.source.api_key().to_owned()),
        ];
        let place = place.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in place.chain(expected::NO_FILTERS.iter().chain(settings).copied()) {
            environment.insert(format!("{PREFIX}_{name}"), value.to_owned());
        }
        let arguments = ["run", "--once", "--config", "/dev/null"];
        process::measure(&host::program()?, &arguments, &environment).await
    }

    fn source_requests(&self) -> BTreeMap<String, usize> {
        let counts = self.source.counts().into_iter();
        counts
            .map(|(kind, count)| (format!("{kind:?}"), count))
            .collect()
    }

    fn platform_requests(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.platform.requests() {
            *counts.entry(request.fields.join(" + ")).or_default() += 1;
        }
        counts
    }
}
