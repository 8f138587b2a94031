//! Which notify scripts run on which event, in which order and with which arguments. Running them is `io::notify`'s.

use crate::command::{Command, Form};

/// The `notify*` keywords of an instance or a group.
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
    /// The commands to run for `event`, the specific one first, then `notify` with
    /// `INSTANCE|GROUP name STATE priority` appended. A group's priority is 0.
    pub fn commands(&self, event: Event, subject: Subject, name: &str, priority: u8) -> Vec<Command> {
        let (specific, general) = match event {
            Event::Master => (&self.master, true),
            Event::Backup => (&self.backup, true),
            Event::Fault => (&self.fault, true),
            Event::Stop => (&self.stop, true),
            Event::Deleted => (&self.deleted, true),
            Event::MasterRxLowerPri => (&self.master_rx_lower_pri, false),
            Event::MasterPriority | Event::BackupPriority => (&None, true),
        };
        let priority = match subject {
            Subject::Instance => priority,
            Subject::Group => 0,
        };
        let arguments = [subject.word(), name, event.word(), &priority.to_string()].map(str::to_owned);
        specific.clone().into_iter().chain(self.any.iter().filter(|_| general).map(|c| with(c, &arguments))).collect()
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
            settings.commands(event, subject, "VI_1", 120).iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts(Event::Master, Subject::Instance), ["/m x", "/n INSTANCE VI_1 MASTER 120"]);
        assert_eq!(texts(Event::Stop, Subject::Group), ["/n GROUP VI_1 STOP 0"]);
        assert_eq!(texts(Event::MasterRxLowerPri, Subject::Instance), Vec::<String>::new());
    }
}
