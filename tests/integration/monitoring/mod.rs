//! What operators watch dispatchd with: the alert rules, the dashboard and the runbooks, tried with a real Prometheus.

mod dashboard;
mod prometheus;
mod query;
mod rules;
mod scrape;
mod text_format;
