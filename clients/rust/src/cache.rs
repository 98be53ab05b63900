//! Answers that may be reused.
//!
//! An answer is kept under its canonical handle. The texts that were asked for lead to it, so that a newer answer to one spelling
//! is the answer to all of them. Both maps are bounded.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use crate::{answer::Answer, clock::Now};

/// No answer is reused for longer, whatever it says.
const REUSE_MAX: Duration = Duration::from_secs(86_400);

/// A text that somebody asked for, and the country of numbers without a calling code.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) text: Box<str>,
    pub(crate) region: Option<Box<str>>,
}

/// An answer without the text that was asked for.
struct Kept {
    answer: Answer,
    /// When it was asked for: the server knew it no earlier.
    asked: Now,
    reuse: Duration,
}

impl Kept {
    /// For how long it may still be reused.
    fn left(&self, now: Now) -> Duration {
        self.reuse.saturating_sub(now.since(self.asked))
    }
}

pub(crate) struct Cache {
    most: usize,
    answers: HashMap<Box<str>, Kept>,
    /// The canonical handle of each text.
    spellings: HashMap<Question, Box<str>>,
}

impl Cache {
    /// A cache that holds at most so many answers and so many spellings.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, answers: HashMap::new(), spellings: HashMap::new() }
    }

    /// The answer to a question, if it may still be reused.
    pub(crate) fn get(&self, question: &Question, now: Now) -> Option<Answer> {
        let kept = self.answers.get(self.canonical(question))?;
        let left = kept.left(now);
        if left.is_zero() {
            return None;
        }
        let input = question.text.clone().into_string();
        Some(Answer { input, expires_in: left.as_secs(), ..kept.answer.clone() })
    }

    /// Keeps an answer that was asked for at `asked`, unless it has one that was asked for later.
    pub(crate) fn put(&mut self, question: Question, answer: &Answer, asked: Now, now: Now) {
        if self.most == 0 {
            return;
        }
        let handle: Box<str> = answer.handle.as_str().into();
        let reuse = Duration::from_secs(answer.expires_in).min(REUSE_MAX);
        let kept = Kept { answer: answer.clone(), asked, reuse };
        match self.answers.entry(handle.clone()) {
            Entry::Occupied(older) if older.get().asked.steady > asked.steady => {}
            Entry::Occupied(mut older) => {
                older.insert(kept);
            }
            Entry::Vacant(empty) => {
                empty.insert(kept);
            }
        }
        if question.text != handle {
            self.spellings.insert(question, handle);
        }
        if self.answers.len().max(self.spellings.len()) > self.most {
            self.shrink(now);
        }
    }

    /// Forgets the answer to a question, in whatever spelling it was asked.
    pub(crate) fn forget(&mut self, question: &Question) {
        let handle: Box<str> = self.canonical(question).into();
        self.answers.remove(&handle);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.answers.clear();
        self.spellings.clear();
    }

    /// Without a spelling, the text may be a canonical handle. That is read the same whatever the region.
    fn canonical<'a>(&'a self, question: &'a Question) -> &'a str {
        self.spellings.get(question).unwrap_or(&question.text)
    }

    /// Drops what has expired. If that is less than half, it also drops what expires first. So each answer is moved a bounded
    /// number of times.
    fn shrink(&mut self, now: Now) {
        let half = self.most.div_ceil(2);
        self.answers.retain(|_, kept| !kept.left(now).is_zero());
        if self.answers.len() > half {
            let mut left: Vec<_> = self.answers.values().map(|kept| kept.left(now)).collect();
            let mut surplus = left.len() - half;
            let (_, &mut edge, _) = left.select_nth_unstable(surplus - 1);
            self.answers.retain(|_, kept| {
                let goes = surplus > 0 && kept.left(now) <= edge;
                surplus -= usize::from(goes);
                !goes
            });
        }
        self.spellings.retain(|_, handle| self.answers.contains_key(handle));
        if self.spellings.len() > half {
            // They only lead to answers, which stay.
            self.spellings.clear();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.answers.len(), self.spellings.len())
    }
}
