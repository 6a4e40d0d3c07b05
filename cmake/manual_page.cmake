# Writes OUT.gz, a manual page made of what PROGRAM says of its commands.
cmake_minimum_required(VERSION 3.25)

function(ask variable)
  execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\\" "\\\\" said "${said}")
  string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\\&\\2" said "${said}")
  string(REPLACE "-" "\\-" said "${said}")
  set(${variable} "${said}" PARENT_SCOPE)
endfunction()

# The commands that `--help` names; options begin with dashes.
function(commands_of variable)
  execute_process(COMMAND ${PROGRAM} ${ARGN} --help OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "\n  [a-z]+ " names "${said}")
  list(TRANSFORM names STRIP)
  set(${variable} ${names} PARENT_SCOPE)
endfunction()

ask(version --version)
string(STRIP "${version}" version)
ask(usage --help)
set(page ".TH KVREPLAY 1 \"\" \"${version}\"
.SH NAME
kvreplay \\- simulator of KV caches that spill to flash
.SH SYNOPSIS
.nf
${usage}.fi
.SH FILES
.I /usr/share/kvreplay/configs
has devices, phones, models, systems and experiments,
.I /usr/share/kvreplay/traces
the sample trace.
.SH EXIT STATUS
0 done; 1 a regression was found, or a device that is not accepted was written; 2 the input is wrong; 3 the system
failed; 70 a bug.
.SH COMMANDS
")
commands_of(commands)
foreach(command IN LISTS commands)
  set(words "${command}")
  if(command MATCHES "^(result|trace|device)$")
    commands_of(inner ${command})
    list(TRANSFORM inner PREPEND "${command} " OUTPUT_VARIABLE words)
  endif()
  foreach(word IN LISTS words)
    separate_arguments(arguments UNIX_COMMAND "${word}")
    ask(text ${arguments} --help)
    string(APPEND page ".SS ${word}\n.nf\n${text}.fi\n")
  endforeach()
endforeach()
file(WRITE ${OUT} "${page}")
execute_process(COMMAND gzip -9nf ${OUT} COMMAND_ERROR_IS_FATAL ANY)
