//! Memory of futures that come and go: what an exchange needs while it lasts is used again by the next one.
//!
//! Taking it from the allocator and giving it back costs a few hundred instructions per request, and the allocator hands out a
//! block that was not used for longest, while the one just given back is still in the processor's cache.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Poll, ready};

use crate::limits::FUTURES_KEPT;

/// Where a future can be put. It does not move while it is there.
type Place<F> = Pin<Box<Option<F>>>;

/// Places that are not in use, the one used last on top.
#[derive(Debug, Default)]
pub struct Kept {
    // Which type of future a place is for is known only where it is used, because the type has no name.
    places: RefCell<Vec<Box<dyn Any>>>,
}

impl Kept {
    /// Makes a future in a place that was used before, if there is one, and runs it there. Not an `async fn`, which would keep
    /// the future beside its place for as long as it runs.
    ///
    /// It is made once it is known where, so that only what it begins with is written there, not all that it has room for.
    pub fn run<F: Future + 'static>(&self, make: impl FnOnce() -> F) -> impl Future<Output = F::Output> {
        let known = self.places.borrow_mut().pop().and_then(|place| place.downcast::<Place<F>>().ok());
        let mut place = known.unwrap_or_else(|| Box::new(Box::pin(None)));
        place.set(None);
        place.set(Some(make()));
        let mut running = Some(place);
        std::future::poll_fn(move |context| {
            // It is there until it has ended, and nobody asks after that.
            let future = running.as_mut().and_then(|place| Pin::as_mut(place).as_pin_mut());
            let Some(future) = future else { return Poll::Pending };
            let output = ready!(future.poll(context));
            running.take().into_iter().for_each(|place| self.keep(place));
            Poll::Ready(output)
        })
    }

    fn keep<F: 'static>(&self, mut place: Box<Place<F>>) {
        place.set(None);
        let mut places = self.places.borrow_mut();
        if places.len() < FUTURES_KEPT {
            places.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    #[test]
    fn a_place_is_used_again_and_is_empty_meanwhile() {
        let kept = Kept::default();
        let mut context = Context::from_waker(Waker::noop());
        let held = std::rc::Rc::new(());
        let work = |number: u32| {
            let held = std::rc::Rc::clone(&held);
            async move {
                tokio::task::yield_now().await;
                drop(held);
                number
            }
        };
        for number in 0..3 {
            let mut running = std::pin::pin!(kept.run(|| work(number)));
            assert!(running.as_mut().poll(&mut context).is_pending());
            assert_eq!((kept.places.borrow().len(), std::rc::Rc::strong_count(&held)), (0, 2));
            assert_eq!(running.as_mut().poll(&mut context), Poll::Ready(number));
            assert_eq!((kept.places.borrow().len(), std::rc::Rc::strong_count(&held)), (1, 1));
        }
    }
}
