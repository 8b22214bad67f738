//! SIGTERM at random moments under load: the end is quick, and nothing is lost or doubled by it.
//!
//! | variable | CI | full | |
//! |---|---|---|---|
//! | `DXGATE_TERM_CYCLES` | 10 | 200 | orderly ends |

use std::time::{Duration, Instant};

use crate::proof::scene::Scene;
use crate::proof::{Moments, size};
use crate::support::gateway::Gateway;

/// The longest orderly end that is allowed: `[limits] shutdown`.
const LONGEST: Duration = Duration::from_secs(30);

#[test]
fn an_orderly_end_at_any_moment_under_load_is_quick_and_loses_nothing() {
    let (cycles, mut moments) = (size("DXGATE_TERM_CYCLES", 10), Moments::new());
    let scene = Scene::new();
    let mut ends = Vec::new();
    let judgement = scene.run(|| {
        for _ in 0..cycles {
            let gateway = Gateway::start(&scene.victim);
            moments.pass(1500);
            let begin = Instant::now();
            assert!(gateway.stop().success(), "an end in order has exit code 0");
            ends.push(begin.elapsed());
        }
    });
    ends.sort();
    let (median, longest) = (ends[ends.len() / 2], *ends.last().unwrap());
    println!("{cycles} orderly ends; {median:?} (median), {longest:?} (longest)");
    assert!(judgement.clean, "{}", judgement.text());
    assert!(judgement.sum("taken") > u64::from(cycles), "there was load: {}", judgement.text());
    assert!(longest < LONGEST, "{longest:?}");
}
