//! The span of time in which a key or certificate is used.

use jiff::Timestamp;

use crate::cms::Certificate;

/// From `from` to `until`, both seconds included (RFC 5280 4.1.2.5 counts a certificate's own bounds the same way).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First instant of use.
    pub from: Timestamp,
    /// Last second of use.
    pub until: Timestamp,
}

impl Window {
    /// The certificate's own validity, narrowed by what the operator wrote. A wish to widen it has no effect; the
    /// configuration reports such a wish with the help of [`Window::of`] and [`Window::holds`].
    pub fn narrowed(certificate: &Certificate, from: Option<Timestamp>, until: Option<Timestamp>) -> Window {
        let own = Window::of(certificate);
        Window {
            from: from.map_or(own.from, |at| at.max(own.from)),
            until: until.map_or(own.until, |at| at.min(own.until)),
        }
    }

    /// The certificate's own validity.
    pub fn of(certificate: &Certificate) -> Window {
        Window { from: certificate.not_before(), until: certificate.not_after() }
    }

    /// The first instant behind it. Bounds are written to the second, as in certificates: the last second is used to its
    /// end, so that a window that begins with the next one follows without a gap.
    pub fn end(&self) -> Timestamp {
        let next = self.until.as_second().checked_add(1);
        next.and_then(|next| Timestamp::from_second(next).ok()).unwrap_or(Timestamp::MAX)
    }

    /// Whether `at` lies inside.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.end()
    }

    /// Whether no instant lies inside.
    pub fn is_empty(&self) -> bool {
        self.until < self.from
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn both_ends_belong_to_the_window() {
        let window = Window { from: at(10), until: at(20) };
        assert!(window.holds(at(10)) && window.holds(at(20)));
        assert!(!window.holds(at(9)) && !window.holds(at(21)));
        assert!(!window.is_empty());
        assert!(Window { from: at(2), until: at(1) }.is_empty());
    }

    #[test]
    fn the_last_second_is_used_to_its_end_so_that_the_next_window_follows_without_a_gap() {
        let (old, new) = (Window { from: at(10), until: at(20) }, Window { from: at(21), until: at(30) });
        let within = at(20).checked_add(SignedDuration::from_millis(999)).expect("in range");
        assert!(old.holds(within) && !new.holds(within));
        assert!(!old.holds(at(21)) && new.holds(at(21)));
        assert_eq!(old.end(), new.from);
    }
}
