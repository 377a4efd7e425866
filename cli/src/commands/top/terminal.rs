//! `top` on a terminal: keys, readings and redrawing.

use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::screen::Screen;
use super::source::{Frame, Source};
use crate::failure::{Failure, Result};
use crate::signals;

/// How long a key press, a reading or a signal waits at most.
const STEP: Duration = Duration::from_millis(50);
const MIN_INTERVAL: Duration = Duration::from_millis(100);
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// The terminal, as it was before once this is dropped. A panic restores it too.
struct Terminal(ratatui::DefaultTerminal);

impl Terminal {
    fn new() -> Result<Terminal> {
        signals::install_for_terminal();
        ratatui::try_init().map(Terminal).map_err(|cause| terminal_error(&cause))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = ratatui::try_restore();
    }
}

fn terminal_error(cause: &io::Error) -> Failure {
    Failure::io("the terminal", cause)
}

/// A thread that reads when it is asked to: a reading can take longer than a key press may.
struct Reader {
    requests: Sender<()>,
    frames: Receiver<Result<Frame>>,
    waiting: bool,
}

impl Reader {
    fn start(mut source: Source) -> Reader {
        let (requests, incoming) = channel();
        let (outgoing, frames) = channel();
        // The thread ends with the program, or after the request that it works on.
        thread::spawn(
            move || {
                while incoming.recv().is_ok() && outgoing.send(source.read()).is_ok() {}
            },
        );
        Reader { requests, frames, waiting: false }
    }

    /// Asks for a reading, unless the last one is not there yet.
    fn request(&mut self) {
        if !self.waiting {
            self.waiting = self.requests.send(()).is_ok();
        }
    }

    /// Returns a reading, if there is a new one.
    fn next(&mut self) -> Result<Option<Frame>> {
        match self.frames.try_recv() {
            Ok(frame) => {
                self.waiting = false;
                frame.map(Some)
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Failure::failed("the readings ended")),
        }
    }
}

/// Shows readings until a key or a signal ends it.
pub fn run(source: Source, interval: Duration, title: String) -> Result<()> {
    let mut reader = Reader::start(source);
    let mut screen = Screen::new(title, interval);
    let mut terminal = Terminal::new()?;
    let mut due = Instant::now();
    let mut changed = true;
    // The user, a signal or an error ends this.
    loop {
        signals::check()?;
        if Instant::now() >= due && !screen.paused {
            reader.request();
            due = Instant::now() + screen.interval;
        }
        if let Some(frame) = reader.next()? {
            screen.add(frame);
            changed = true;
        }
        if changed {
            terminal.0.draw(|frame| screen.draw(frame)).map_err(|cause| terminal_error(&cause))?;
            changed = false;
        }
        match event::poll(STEP)
            .and_then(|ready| if ready { event::read().map(Some) } else { Ok(None) })
        {
            Ok(Some(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                if !press(key, &mut screen) {
                    return Ok(());
                }
                // A shorter interval counts from now.
                due = due.min(Instant::now() + screen.interval);
                changed = true;
            }
            Ok(Some(Event::Resize(..))) => changed = true,
            Ok(_) => {}
            // The signal is checked above.
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(terminal_error(&cause)),
        }
    }
}

/// Does what a key is for. Returns `false` for the end.
fn press(key: KeyEvent, screen: &mut Screen) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return false,
        KeyCode::Char('?' | 'h') => screen.help = !screen.help,
        KeyCode::Esc if screen.help => screen.help = false,
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('p' | ' ') => screen.paused = !screen.paused,
        KeyCode::Char('+' | '=') => screen.interval = (screen.interval * 2).min(MAX_INTERVAL),
        KeyCode::Char('-') => screen.interval = (screen.interval / 2).max(MIN_INTERVAL),
        _ => {}
    }
    true
}
