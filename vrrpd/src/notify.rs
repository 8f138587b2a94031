//! Whom an instance or a group tells about itself, and in which words.
//!
//! - this file: which scripts run on which event, in which order and with which arguments, and the lines of FIFOs;
//! - `mail`: subject and text of a mail; `smtp`: the dialogue with a mail server.
//!
//! Running, writing and sending is done in `io`, by `notify`, `fifo` and `mail`.

pub mod mail;
pub mod smtp;

use crate::command::{Command, Form, User};
use crate::vrrp::Phase;
use std::path::PathBuf;
use std::sync::Arc;

/// The `notify*` keywords of an instance or a group, and `smtp_alert`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// `notify_deleted` with a command; without one it is a flag of the instance.
    pub deleted: Option<Command>,
    /// `notify_master_rx_lower_pri`.
    pub master_rx_lower_pri: Option<Command>,
    /// `notify`: called on every change with four more arguments.
    pub any: Option<Command>,
    /// `smtp_alert`.
    pub mail: bool,
}

impl Settings {
    /// Nobody is told.
    pub const NOBODY: &Self = &Self {
        master: None,
        backup: None,
        fault: None,
        stop: None,
        deleted: None,
        master_rx_lower_pri: None,
        any: None,
        mail: false,
    };
}

/// Who is told of everything, besides the scripts of each instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// `notify_fifo` and `vrrp_notify_fifo`.
    pub fifos: Vec<Fifo>,
    /// Where mail goes, if the configuration says so.
    pub mail: Option<Arc<mail::Settings>>,
}

/// A named pipe that gets a line for each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fifo {
    /// Which keyword it is of.
    pub kind: FifoKind,
    /// Where it is made.
    pub path: PathBuf,
    /// Whom it belongs to.
    pub user: User,
    /// The script that reads it.
    pub script: Option<Command>,
}

/// Which events a pipe gets. Those of virtual routers are all there are yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FifoKind {
    /// `notify_fifo`.
    All,
    /// `vrrp_notify_fifo`.
    Vrrp,
}

impl FifoKind {
    /// How log lines begin.
    pub fn prefix(self) -> &'static str {
        match self {
            FifoKind::All => "",
            FifoKind::Vrrp => "vrrp ",
        }
    }
}

/// Something happened, and all who are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Kind of the subject.
    pub subject: Subject,
    /// Name of the instance or group.
    pub name: String,
    /// What happened.
    pub event: Event,
    /// Effective priority; a group's is 0.
    pub priority: u8,
    /// To be run one after another, after all earlier ones of the same subject.
    pub commands: Vec<Command>,
    /// Whether mail is to be sent.
    pub mail: bool,
}

/// What is being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Became master.
    Master,
    /// Became backup.
    Backup,
    /// Went into fault.
    Fault,
    /// The daemon stops.
    Stop,
    /// A reload removed the instance.
    Deleted,
    /// A master heard an advert of lower priority.
    MasterRxLowerPri,
    /// `notify_priority_changes`: the effective priority changed while master.
    MasterPriority,
    /// The same while not master.
    BackupPriority,
}

/// The first of the appended arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A `vrrp_instance`.
    Instance,
    /// A `vrrp_sync_group`.
    Group,
}

impl Event {
    /// Entering this state.
    pub fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Init => None,
            Phase::Master => Some(Event::Master),
            Phase::Backup => Some(Event::Backup),
            Phase::Fault => Some(Event::Fault),
        }
    }

    /// The word of this event in arguments and FIFO lines.
    pub fn word(self) -> &'static str {
        match self {
            Event::Master => "MASTER",
            Event::Backup => "BACKUP",
            Event::Fault => "FAULT",
            Event::Stop => "STOP",
            Event::Deleted => "DELETED",
            Event::MasterRxLowerPri => "MASTER_RX_LOWER_PRI",
            Event::MasterPriority => "MASTER_PRIORITY",
            Event::BackupPriority => "BACKUP_PRIORITY",
        }
    }
}

impl Subject {
    /// The word of this subject in arguments and FIFO lines.
    pub fn word(self) -> &'static str {
        match self {
            Subject::Instance => "INSTANCE",
            Subject::Group => "GROUP",
        }
    }
}

impl Settings {
    /// Everything that `event` causes: the specific script first, then `notify` with `INSTANCE|GROUP name STATE priority`
    /// appended. A group's priority is 0.
    pub fn notice(&self, event: Event, subject: Subject, name: &str, priority: u8) -> Notice {
        let (specific, general) = match event {
            Event::Master => (&self.master, true),
            Event::Backup => (&self.backup, true),
            Event::Fault => (&self.fault, true),
            Event::Stop => (&self.stop, true),
            Event::Deleted => (&self.deleted, true),
            Event::MasterRxLowerPri => (&self.master_rx_lower_pri, false),
            // Only FIFOs are told.
            Event::MasterPriority | Event::BackupPriority => (&None, false),
        };
        let priority = match subject {
            Subject::Instance => priority,
            Subject::Group => 0,
        };
        let arguments = [subject.word(), name, event.word(), &priority.to_string()].map(str::to_owned);
        let general = self.any.iter().filter(|_| general).map(|command| with(command, &arguments));
        let commands = specific.clone().into_iter().chain(general).collect();
        Notice { subject, name: name.to_owned(), event, priority, commands, mail: self.mail }
    }
}

impl Notice {
    /// The line that FIFOs get.
    pub fn fifo_line(&self) -> String {
        format!("{} \"{}\" {} {}\n", self.subject.word(), self.name, self.event.word(), self.priority)
    }
}

fn with(command: &Command, arguments: &[String]) -> Command {
    let mut command = command.clone();
    match &mut command.form {
        Form::Exec(words) => words.extend_from_slice(arguments),
        Form::Shell(text) => {
            for argument in arguments {
                text.push(' ');
                text.push_str(argument);
            }
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specific_script_runs_first_and_without_arguments() {
        let settings = Settings {
            master: Some(Command::exec(["/m", "x"])),
            any: Some(Command::exec(["/n"])),
            ..Settings::default()
        };
        let texts = |event, subject| -> Vec<String> {
            settings.notice(event, subject, "VI_1", 120).commands.iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts(Event::Master, Subject::Instance), ["/m x", "/n INSTANCE VI_1 MASTER 120"]);
        assert_eq!(texts(Event::Stop, Subject::Group), ["/n GROUP VI_1 STOP 0"]);
        assert_eq!(texts(Event::MasterRxLowerPri, Subject::Instance), Vec::<String>::new());
        assert_eq!(texts(Event::MasterPriority, Subject::Instance), Vec::<String>::new());
    }

    #[test]
    fn fifos_get_every_event() {
        let line = |event, subject| Settings::default().notice(event, subject, "VI_1", 120).fifo_line();
        assert_eq!(line(Event::Master, Subject::Instance), "INSTANCE \"VI_1\" MASTER 120\n");
        assert_eq!(line(Event::BackupPriority, Subject::Instance), "INSTANCE \"VI_1\" BACKUP_PRIORITY 120\n");
        assert_eq!(line(Event::Stop, Subject::Group), "GROUP \"VI_1\" STOP 0\n");
    }
}
