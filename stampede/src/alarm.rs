//! Wakes the event loop at a moment more exact than the millisecond of `epoll_wait`, where the system can.

use std::io;
use std::time::Duration;

use mio::{Poll, Token};

#[cfg(target_os = "linux")]
pub struct Alarm {
    timer: rustix::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Alarm {
    pub fn new(poll: &Poll, token: Token) -> io::Result<Self> {
        use rustix::fd::AsRawFd;
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let mut source = mio::unix::SourceFd(&timer.as_raw_fd());
        poll.registry().register(&mut source, token, mio::Interest::READABLE)?;
        Ok(Alarm { timer })
    }

    /// Rings once, `after` from now. Gives how long the loop may sleep: as long as it likes.
    pub fn set(&mut self, after: Duration, longest: Duration) -> io::Result<Duration> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would switch it off.
        let after = after.max(Duration::from_nanos(1));
        let value = Timespec { tv_sec: after.as_secs() as i64, tv_nsec: after.subsec_nanos().into() };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
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

    pub fn set(&mut self, after: Duration, longest: Duration) -> io::Result<Duration> {
        Ok(after.min(longest))
    }
}
