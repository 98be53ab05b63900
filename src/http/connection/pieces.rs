//! Bodies that are sent piece by piece.
//!
//! The HTTP library copies a whole frame of a body before it sends it. A client that reads nothing would therefore hold a copy
//! of its answer, however long it is and however many have the same one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

use super::open::UnderWay;
use crate::limits;

/// A body in pieces of at most [`limits::ANSWER_PIECE_BYTES`]. Its request is under way until it ends.
pub(in crate::http) struct Pieces {
    body: Body,
    left: Bytes,
    _under_way: Option<UnderWay>,
}

impl Pieces {
    pub(in crate::http) fn of(body: Body, under_way: Option<UnderWay>) -> Self {
        Self { body, left: Bytes::new(), _under_way: under_way }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let bytes = self.left.len().min(limits::ANSWER_PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, left) = (self.body.size_hint(), self.left.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + left);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + left);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_long_frame_is_cut_and_its_length_stays_known() {
        let whole: Vec<u8> = (0..=255).cycle().take(2 * limits::ANSWER_PIECE_BYTES + 1).collect();
        let mut pieces = Pieces::of(Body::from(whole.clone()), None);
        let (mut read, mut lengths) = (Vec::new(), Vec::new());
        while !pieces.is_end_stream() {
            let left = (whole.len() - read.len()) as u64;
            assert_eq!(pieces.size_hint().exact(), Some(left));
            let piece = pieces.frame().await.unwrap().unwrap().into_data().unwrap();
            lengths.push(piece.len());
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, whole);
        assert_eq!(lengths, [limits::ANSWER_PIECE_BYTES, limits::ANSWER_PIECE_BYTES, 1]);
        assert!(pieces.frame().await.is_none());
    }
}
