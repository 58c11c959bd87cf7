//! Keeps one sensor running: one process at a time, here or on another host, for as long as its
//! pack says so.
//!
//! Whoever holds the sensor's lease runs it. A process that ends is started again after a pause
//! that doubles up to five minutes, and is a second again after a minute of health; it is never
//! given up. Another content, another configuration, the end of the lease, and the end of the
//! service end the process, politely first.

use std::sync::Arc;
use std::time::Duration;

use hearken_kit::Shutdown;
use hearken_kit::lease::{LEASE, Lease, RENEW_EVERY};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::{info, warn};

use crate::child;
use crate::host::{Shared, Wanted};
use crate::reporter::Reporter;
use crate::settings::{self, Found, Lookout};

/// The first pause before a sensor is started again.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest: what is broken for hours costs little, and what comes back is noticed soon.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// A process that lived so long was healthy.
const HEALTHY: Duration = Duration::from_secs(60);

/// Why a sensor is not run on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Its content is another.
    Changed,
    /// Its pack's configuration is another.
    Configured,
    /// It is not wanted any more.
    Gone,
    /// Another replica may run it.
    Lost,
    /// The service ends.
    Shutdown,
}

/// Keeps a sensor running until it is not wanted any more, or the service ends.
pub(crate) async fn keep(
    shared: Arc<Shared>,
    targets: watch::Receiver<Arc<Wanted>>,
    holder: String,
    shutdown: Shutdown,
) {
    let reference = targets.borrow().sensor.reference.clone();
    let (bus, clock) = (shared.bus.clone(), shared.clock.clone());
    let lease = Lease::new(bus.clone(), clock.clone(), &lease_name(&reference), &holder);
    let definitions = shared.definitions.clone();
    let reporter = Reporter::new(bus, clock, definitions, &shared.host, &reference);
    let mut renewal = tokio::time::interval(RENEW_EVERY);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let renewed = Instant::now();
    let mut keeper = Keeper { shared, targets, lease, renewal, renewed, reporter, shutdown };
    keeper.run().await;
}

/// The lease on a sensor.
fn lease_name(reference: &str) -> String {
    format!("sensor {reference}")
}

struct Keeper {
    shared: Arc<Shared>,
    targets: watch::Receiver<Arc<Wanted>>,
    lease: Lease,
    renewal: Interval,
    /// When the lease was last ours for sure.
    renewed: Instant,
    reporter: Reporter,
    shutdown: Shutdown,
}

impl Keeper {
    async fn run(&mut self) {
        loop {
            match self.hold().await {
                None | Some(Why::Changed | Why::Configured | Why::Lost) => {}
                Some(Why::Gone | Why::Shutdown) => return,
            }
            let wanted = Arc::clone(&self.targets.borrow_and_update());
            self.reporter.begin(&wanted).await;
            let why = self.attend(&wanted).await;
            info!(sensor = wanted.sensor.reference, ?why, "sensor stopped");
            match why {
                Why::Changed | Why::Configured => {}
                // Whoever has the lease tells its state now.
                Why::Lost => continue,
                Why::Gone | Why::Shutdown => break,
            }
        }
        self.reporter.stopped().await;
        if let Err(error) = self.lease.release().await {
            info!(%error, "the lease on a sensor was not given back, it runs out by itself");
        }
    }

    /// Waits until the lease is ours; answers why not.
    async fn hold(&mut self) -> Option<Why> {
        if self.lease.is_held() {
            return None;
        }
        loop {
            match self.lease.renew().await {
                Ok(true) => {
                    self.renewed = Instant::now();
                    return None;
                }
                Ok(false) => {}
                Err(error) => warn!(%error, "the lease on a sensor cannot be had now"),
            }
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return Some(Why::Shutdown),
                changed = self.targets.changed() => if changed.is_err() {
                    return Some(Why::Gone);
                },
                _ = self.renewal.tick() => {}
            }
        }
    }

    /// Runs processes of one content with one configuration, one after another.
    async fn attend(&mut self, wanted: &Arc<Wanted>) -> Why {
        let mut pause = PAUSE_MIN;
        let settings = settings::read(&self.shared, wanted).await;
        self.reporter.conceal(settings.secrets.clone());
        let mut lookout = Lookout::new(&self.shared, wanted, &settings);
        loop {
            let cancel = Shutdown::new();
            let shared = Arc::clone(&self.shared);
            let mut ended = None;
            let mut watched = self.watched(&mut lookout);
            let (config, reporter) = (settings.values.clone(), watched.reporter);
            let run = async {
                ended = Some(child::run(&shared, wanted, config, reporter, &cancel).await);
            };
            if let Some(why) = watched.during(run, &cancel).await {
                return why;
            }
            if let Some(ended) = ended {
                if ended.lived >= HEALTHY {
                    pause = PAUSE_MIN;
                }
                self.reporter.waiting(&ended.why).await;
            }
            let cancel = Shutdown::new();
            let rest = async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancel.requested() => {}
                }
            };
            if let Some(why) = self.watched(&mut lookout).during(rest, &cancel).await {
                return why;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// What is watched, apart from what a process needs meanwhile.
    fn watched<'a>(&'a mut self, lookout: &'a mut Lookout) -> Watched<'a> {
        let Self { targets, lease, renewal, renewed, reporter, shutdown, .. } = self;
        Watched { targets, lease, renewal, renewed, reporter, shutdown, lookout }
    }
}

/// What is watched while something else is going on.
struct Watched<'a> {
    targets: &'a mut watch::Receiver<Arc<Wanted>>,
    lease: &'a mut Lease,
    renewal: &'a mut Interval,
    renewed: &'a mut Instant,
    reporter: &'a Reporter,
    shutdown: &'a Shutdown,
    lookout: &'a mut Lookout,
}

impl Watched<'_> {
    /// Does `work` to its end. When there is a reason to end it early, asks for that by `cancel`
    /// and answers the reason.
    async fn during(&mut self, work: impl Future<Output = ()>, cancel: &Shutdown) -> Option<Why> {
        let mut work = Box::pin(work);
        let why = tokio::select! {
            biased;
            () = &mut work => return None,
            why = self.reason() => why,
        };
        cancel.request();
        work.await;
        Some(why)
    }

    /// Waits for a reason to stop; renews the lease meanwhile.
    async fn reason(&mut self) -> Why {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.requested() => return Why::Shutdown,
                changed = self.targets.changed() => {
                    return if changed.is_ok() { Why::Changed } else { Why::Gone };
                }
                _ = self.renewal.tick() => {}
                found = self.lookout.look() => {
                    match found {
                        Found::Same => {}
                        Found::Other => return Why::Configured,
                        Found::Broken(why) => self.reporter.fault(&why),
                    }
                    continue;
                }
            }
            match self.lease.renew().await {
                Ok(true) => *self.renewed = Instant::now(),
                Ok(false) => return Why::Lost,
                Err(error) => {
                    warn!(%error, "the lease on a sensor could not be renewed");
                    // Before anybody else may take it.
                    if self.renewed.elapsed() + RENEW_EVERY > LEASE {
                        return Why::Lost;
                    }
                }
            }
            self.reporter.flush().await;
        }
    }
}
