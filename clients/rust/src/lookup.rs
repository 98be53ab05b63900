//! Lookups: from the cache, from a request that is under way, or from a request of their own.
//!
//! A request is a shared future. Each caller that waits for it drives it, so it goes on if the first caller is dropped. When the last
//! one is dropped, the request ends. No task is spawned.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use reqwest::Method;
use tokio::time::Instant;

use crate::{
    answer::{Answer, Batch, Item},
    cache::{Cache, Question},
    clock::Now,
    device::BatchRequest,
    error::Error,
    http::Outgoing,
    secret::Token,
    server::Server,
    vocabulary::ProblemCode,
};

/// The most handles that the server takes in one request.
const BATCH_HANDLES_MAX: usize = 1_000;

type Work = BoxFuture<'static, Result<Arc<[Item]>, Error>>;

/// The place of a question in a request that is under way.
struct UnderWay {
    request: u64,
    at: usize,
    work: WeakShared<Work>,
}

struct State {
    cache: Cache,
    under_way: HashMap<Question, UnderWay>,
    requests: u64,
}

/// Where the answer to a question comes from.
enum Place {
    Kept(Answer),
    Request(Shared<Work>, usize),
}

#[derive(Clone)]
pub(crate) struct Lookups {
    server: Server,
    token: Token,
    state: Arc<Mutex<State>>,
}

/// Takes a request's questions off the list when it ends or is dropped.
struct Listed {
    request: u64,
    questions: Arc<[Question]>,
    state: Arc<Mutex<State>>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        for question in &*self.questions {
            if state.is_listed(question, self.request) {
                state.under_way.remove(question);
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lookups {
    pub(crate) fn new(server: Server, token: Token, kept_answers: usize) -> Self {
        let cache = Cache::new(kept_answers);
        let state = State { cache, under_way: HashMap::new(), requests: 0 };
        Self { server, token, state: Arc::new(Mutex::new(state)) }
    }

    /// Forgets every answer, and those that are under way.
    pub(crate) fn clear(&self) {
        let mut state = lock(&self.state);
        state.cache.clear();
        state.under_way.clear();
    }

    /// Forgets the answer to a question, and one that is under way.
    pub(crate) fn forget(&self, question: &Question) {
        let mut state = lock(&self.state);
        state.cache.forget(question);
        state.under_way.remove(question);
    }

    /// The items of all questions, in their order.
    pub(crate) async fn ask(&self, questions: Vec<Question>) -> Result<Vec<Item>, Error> {
        let started = Instant::now();
        let mut items: Vec<Option<Item>> = vec![None; questions.len()];
        loop {
            let open: Vec<_> = (0..items.len()).filter(|at| items[*at].is_none()).collect();
            if open.is_empty() {
                return Ok(items.into_iter().flatten().collect());
            }
            let now = Now::read();
            let asked = open.iter().map(|at| questions[*at].clone()).collect();
            let (mut kept, mut waited) = (Vec::new(), Duration::ZERO);
            for (at, place) in open.into_iter().zip(self.places(asked, started, now)) {
                match place {
                    Place::Kept(answer) => kept.push((at, answer)),
                    Place::Request(work, index) => {
                        let answered = work.await?;
                        items[at] = Some(answered.get(index).cloned().ok_or(Error::Unreadable)?);
                        waited = Now::read().since(now);
                    }
                }
            }
            // A kept answer may have expired while others were waited for. Then it is asked for, too.
            for (at, answer) in kept {
                let left = Duration::from_secs(answer.expires_in).saturating_sub(waited);
                if waited.is_zero() || !left.is_zero() {
                    let expires_in = left.as_secs();
                    items[at] = Some(Item::Answer(Answer { expires_in, ..answer }));
                }
            }
        }
    }

    fn places(&self, questions: Vec<Question>, started: Instant, now: Now) -> Vec<Place> {
        let mut places: Vec<Option<Place>> = Vec::with_capacity(questions.len());
        let mut fresh: Vec<Question> = Vec::new();
        // For each question of this call that nobody answers yet: its place in `fresh`.
        let mut known: HashMap<&Question, usize> = HashMap::new();
        let mut asked = vec![0; questions.len()];
        let mut state = lock(&self.state);
        for (question, asked) in questions.iter().zip(&mut asked) {
            let place = state.place(question, now);
            if place.is_none() {
                *asked = *known.entry(question).or_insert_with(|| {
                    fresh.push(question.clone());
                    fresh.len() - 1
                });
            }
            places.push(place);
        }
        let requests: Vec<_> = fresh
            .chunks(BATCH_HANDLES_MAX)
            .map(|questions| self.request(&mut state, questions.into(), started))
            .collect();
        drop(state);
        let place = |(place, asked): (Option<Place>, usize)| {
            let (request, at) = (asked / BATCH_HANDLES_MAX, asked % BATCH_HANDLES_MAX);
            place.unwrap_or_else(|| Place::Request(requests[request].clone(), at))
        };
        places.into_iter().zip(asked).map(place).collect()
    }

    /// Lists a new request. It is sent when somebody waits for it.
    fn request(
        &self,
        state: &mut State,
        questions: Arc<[Question]>,
        started: Instant,
    ) -> Shared<Work> {
        state.requests += 1;
        let request = state.requests;
        let listed =
            Listed { request, questions: Arc::clone(&questions), state: Arc::clone(&self.state) };
        let lookups = self.clone();
        let work: Work = Box::pin(async move { lookups.send(&listed, started).await });
        let work = work.shared();
        for (at, question) in questions.iter().enumerate() {
            if let Some(work) = work.downgrade() {
                state.under_way.insert(question.clone(), UnderWay { request, at, work });
            }
        }
        work
    }

    async fn send(&self, listed: &Listed, started: Instant) -> Result<Arc<[Item]>, Error> {
        let questions = &listed.questions;
        // All questions of a request have the same region.
        let region = questions.first().and_then(|question| question.region.as_deref());
        let handles = questions.iter().map(|question| &*question.text).collect();
        let mut request =
            Outgoing::new(Method::POST, "v1/lookup").with(&BatchRequest { handles, region });
        request.token = Some(self.token.clone());
        let done = match self.server.call(&request, started).await {
            Ok(done) => done,
            Err(error) => {
                if is_token_void(&error) {
                    self.clear();
                }
                return Err(error);
            }
        };
        let Batch { answers, .. } = done.reply.read()?;
        let is_answer = |(question, item): (&Question, &Item)| *question.text == *item.input();
        if answers.len() != questions.len() || !questions.iter().zip(&answers).all(is_answer) {
            return Err(Error::Unreadable);
        }
        let mut state = lock(&self.state);
        let now = Now::read();
        for (question, item) in questions.iter().zip(&answers) {
            // What was forgotten meanwhile, or asked again, is not kept.
            if let Item::Answer(answer) = item
                && state.is_listed(question, listed.request)
            {
                state.cache.put(question.clone(), answer, done.asked, now);
            }
        }
        Ok(answers.into())
    }
}

impl State {
    /// Whether the newest answer to a question is that of this request.
    fn is_listed(&self, question: &Question, request: u64) -> bool {
        self.under_way.get(question).is_some_and(|it| it.request == request)
    }

    /// Where a question is answered already, or will be.
    fn place(&self, question: &Question, now: Now) -> Option<Place> {
        if let Some(answer) = self.cache.get(question, now) {
            return Some(Place::Kept(answer));
        }
        let under_way = self.under_way.get(question)?;
        Some(Place::Request(under_way.work.upgrade()?, under_way.at))
    }
}

/// Whether the device is gone, and so the account that asked.
pub(crate) fn is_token_void(error: &Error) -> bool {
    matches!(error, Error::Refused(problem) if problem.code == ProblemCode::TokenInvalid)
}
