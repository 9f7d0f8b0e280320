# Writes the files of control/templates/ into a C table, as bytes like the schema's (embed.cmake).
#   cmake -DOUTPUT=file.c -DFILES="a.txt;b.html" -P embed_templates.cmake
set(text "/* Made by control/base/embed_templates.cmake from control/templates/. */\n#include \"control/base/template.h\"\n\n")
set(table "")
set(count 0)
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
         "\\1\n" bytes "${bytes}")
  math(EXPR count "${count} + 1")
  string(APPEND text "static const unsigned char file_${count}[] = {\n${bytes}0};\n\n")
  string(APPEND table "    {\"${name}\", (const char *)file_${count}},\n")
endforeach()
string(APPEND text "const struct template_file template_files[] = {\n${table}};\n")
string(APPEND text "const int template_files_count = ${count};\n")
file(WRITE ${OUTPUT} "${text}")
