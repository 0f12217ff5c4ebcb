//! Tells late interrupts from lost ones, for one queue. Pure.
//!
//! The driver looks for completions on a timer, too, and may then find one whose interrupt is on its
//! way: the card writes the completion first, and a busy machine delivers late. It is lost only if it
//! has not come when the timer next fires.

/// What is known of a queue's interrupts.
#[derive(Debug)]
pub(crate) struct Announced {
    /// Interrupts when completions were last looked for.
    seen: u64,
    /// Completions were found without an interrupt, when so many had come.
    owed: Option<u64>,
}

impl Announced {
    /// `raised` interrupts have come so far.
    pub fn new(raised: u64) -> Self {
        Self {
            seen: raised,
            owed: None,
        }
    }

    /// Whether an interrupt is waited for, so that the timer has to fire again.
    pub fn is_owed(&self) -> bool {
        self.owed.is_some()
    }

    /// Completions were looked for, because of an interrupt or of the timer (`tick`), after `raised`
    /// interrupts, and `taken` were found. Returns whether an interrupt is lost.
    pub fn looked(&mut self, raised: u64, tick: bool, taken: usize) -> bool {
        let silent = raised == self.seen;
        self.seen = raised;
        if !tick {
            return false;
        }
        let lost = self.owed.take() == Some(raised);
        if silent && taken > 0 {
            self.owed = Some(raised);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::Announced;

    #[test]
    fn an_interrupt_is_lost_when_the_next_tick_finds_none() {
        let mut queue = Announced::new(7);
        assert!(!queue.looked(7, true, 2) && queue.is_owed());
        assert!(queue.looked(7, true, 0) && !queue.is_owed());
        // It is told once; and a queue that loses all of them tells one a tick.
        assert!(!queue.looked(7, true, 0));
        assert!(!queue.looked(7, true, 1));
        assert!(queue.looked(7, true, 1) && queue.is_owed());
    }

    #[test]
    fn an_interrupt_that_comes_before_the_next_tick_is_late() {
        let mut queue = Announced::new(0);
        assert!(!queue.looked(0, true, 1) && queue.is_owed());
        assert!(!queue.looked(1, false, 0), "the look that it brings");
        assert!(!queue.looked(1, true, 0) && !queue.is_owed());
        // It may come between the count and the tick, without a look of its own.
        assert!(!queue.looked(1, true, 1));
        assert!(!queue.looked(2, true, 0) && !queue.is_owed());
    }

    #[test]
    fn what_is_announced_is_not_owed() {
        let mut queue = Announced::new(0);
        assert!(!queue.looked(1, false, 1) && !queue.is_owed());
        assert!(!queue.looked(2, true, 1) && !queue.is_owed());
        assert!(!queue.looked(2, true, 0) && !queue.is_owed());
    }
}
