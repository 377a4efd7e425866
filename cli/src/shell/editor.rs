//! The line editor on a terminal.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, DefaultHinter, Emacs, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, SearchDirection, SearchQuery,
    Signal, ValidationResult, Validator, default_emacs_keybindings,
};

use super::complete::Completion;
use super::highlight::Colors;
use super::source::{Script, Source};
use super::{history, line, words};
use crate::commands::Context;
use crate::failure::{Failure, Result};
use crate::signals;

/// How long a signal waits at most until the editor sees it.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(500);

const MENU: &str = "completion";

/// Lines that a user types, with completion and history.
pub struct Editor {
    reedline: Reedline,
    /// What the completion sees.
    context: Arc<Mutex<Option<Context>>>,
    /// The commands of what was typed or pasted last.
    typed: Option<Script>,
}

impl Editor {
    pub fn new(has_color: bool) -> Editor {
        let context: Arc<Mutex<Option<Context>>> = Arc::default();
        let definition = line::definition();
        let commands = definition.get_subcommands().flat_map(|command| {
            let names = std::iter::once(command.get_name()).chain(command.get_visible_aliases());
            names.map(str::to_owned).collect::<Vec<_>>()
        });
        let commands = commands.collect();
        let mut keys = default_emacs_keybindings();
        keys.add_binding(
            KeyModifiers::NONE,
            KeyCode::Tab,
            ReedlineEvent::UntilFound(vec![
                ReedlineEvent::Menu(MENU.to_owned()),
                ReedlineEvent::MenuNext,
            ]),
        );
        let menu = ColumnarMenu::default().with_name(MENU).with_marker("");
        let mut reedline = Reedline::create()
            .with_ansi_colors(has_color)
            .with_history(Box::new(history::open()))
            .with_history_exclusion_prefix(Some(" ".to_owned()))
            .with_validator(Box::new(Complete))
            .with_highlighter(Box::new(Colors { commands }))
            .with_completer(Box::new(Completion::new(definition, context.clone())))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .use_bracketed_paste(true)
            .with_break_signal(signals::end_flag())
            .with_poll_interval(SIGNAL_INTERVAL);
        // A hint without a color would look like what was typed.
        if has_color {
            let gray = Style::new().fg(Color::DarkGray);
            reedline = reedline.with_hinter(Box::new(DefaultHinter::default().with_style(gray)));
        }
        Editor { reedline, context, typed: None }
    }

    /// Returns what the user types next, or `None` after Ctrl-D.
    fn read(&mut self, context: &Context) -> Result<Option<String>> {
        signals::resume()?;
        *self.context.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.clone());
        let prompt = Text(super::prompt(context));
        // Ctrl-C clears the line, and the user ends the loop with a line or Ctrl-D.
        loop {
            let signal = self.reedline.read_line(&prompt);
            match signal.map_err(|cause| Failure::io("the terminal", &cause))? {
                Signal::Success(text) => {
                    // Without its file the history is kept until the shell ends.
                    let _ = self.reedline.sync_history();
                    return Ok(Some(text));
                }
                Signal::CtrlC => {}
                Signal::CtrlD => return Ok(None),
                _ => return Err(Failure::Interrupted(String::new())),
            }
        }
    }
}

impl Source for Editor {
    fn next(&mut self, context: &Context) -> Result<Option<Vec<u8>>> {
        // Each turn reads what the user typed, until there is a command in it or Ctrl-D.
        loop {
            if let Some(typed) = &mut self.typed
                && let Some(text) = typed.next(context)?
            {
                return Ok(Some(text));
            }
            match self.read(context)? {
                Some(text) => self.typed = Some(Script::of_text(text)),
                None => return Ok(None),
            }
        }
    }

    fn place(&self) -> Option<String> {
        None
    }

    fn history(&self) -> Vec<String> {
        let all = SearchQuery::everything(SearchDirection::Forward, None);
        let lines = self.reedline.history().search(all).unwrap_or_default();
        lines.into_iter().map(|line| line.command_line).collect()
    }

    fn discard(&mut self) {
        self.typed = None;
    }
}

/// Lets Enter run a command only if it is complete.
struct Complete;

impl Validator for Complete {
    fn validate(&self, line: &str) -> ValidationResult {
        match words::split(line.as_bytes()).is_unfinished() {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Complete,
        }
    }
}

/// A prompt, whose text ends with its indicator.
struct Text(String);

impl Prompt for Text {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed(super::CONTINUATION)
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("history: {} ", search.term))
    }
}
