//! Wakes the event loop at an exact time where the system can; `epoll_wait` alone is exact to a millisecond.

use std::io;
use std::time::Duration;

use mio::{Poll, Token};

use crate::log::Micros;

#[cfg(target_os = "linux")]
pub struct Alarm {
    timer: rustix::fd::OwnedFd,
    /// The time it is set to, kept because setting it again would cost a system call for each event.
    due: Micros,
}

#[cfg(target_os = "linux")]
impl Alarm {
    pub fn new(poll: &Poll, token: Token) -> io::Result<Self> {
        use rustix::fd::AsRawFd;
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let mut source = mio::unix::SourceFd(&timer.as_raw_fd());
        poll.registry().register(&mut source, token, mio::Interest::READABLE)?;
        Ok(Alarm { timer, due: 0 })
    }

    /// Rings once at `due`, which is after `now`. Returns how long the loop may sleep, which is `longest`.
    pub fn set(&mut self, due: Micros, now: Micros, longest: Duration) -> io::Result<Duration> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        if due == self.due {
            return Ok(longest);
        }
        let after = Duration::from_micros(due - now);
        let value = Timespec { tv_sec: after.as_secs() as i64, tv_nsec: after.subsec_nanos().into() };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
        self.due = due;
        Ok(longest)
    }
}

#[cfg(not(target_os = "linux"))]
pub struct Alarm;

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub fn new(_: &Poll, _: Token) -> io::Result<Self> {
        Ok(Alarm)
    }

    pub fn set(&mut self, due: Micros, now: Micros, longest: Duration) -> io::Result<Duration> {
        Ok(Duration::from_micros(due - now).min(longest))
    }
}
