/* Any bytes as a TwiML document: never past a bound, and what is taken can be walked. */
#include "tests/practice/carrier_twiml.h"

#include "common/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct carrier_twiml twiml;
    if (!carrier_twiml_read(span_from(data, bytes), &twiml)) {
        assert(twiml.error && twiml.error_code);
        return 0;
    }
    assert(twiml.count >= 1 && twiml.count <= CARRIER_TWIML_ELEMENTS_MAX);
    assert(twiml.elements[0].parent == -1);
    size_t walked = 1;
    for (int parent = 0; parent < (int)twiml.count; parent++) {
        for (int at = parent; (at = carrier_twiml_next(&twiml, parent, at, NULL)) >= 0; walked++) {
            const struct carrier_element *element = &twiml.elements[at];
            assert(element->parent < at && strlen(element->text) <= bytes);
            assert(element->attribute + element->attribute_count <= twiml.attribute_count);
            (void)carrier_twiml_attribute(&twiml, at, "url", "");
        }
    }
    assert(walked == twiml.count);
    return 0;
}
